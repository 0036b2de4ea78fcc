"""The benchmark of rankings under fixed and scaled rates: its twin, its rates, its agreement."""

from __future__ import annotations

import importlib
import json
import math
import statistics
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scale import CHECKOUT

from nas.model.network import NORMS, Network
from nas.space import load_space
from nas.training.path_rates import rate_factor


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(CHECKOUT / "benchmarks"))
    return importlib.import_module("learning_rate_ranking")


def test_the_twin_has_as_many_members_and_no_norms(benchmark: ModuleType) -> None:
    space = load_space(benchmark.SPACE)
    twin = benchmark.twin_without_norms(space)
    assert twin.count() == space.count()
    for member in benchmark.draw(twin, 12):
        modules = Network(twin.build(member), (1, 8, 8), 10, seed=0).modules()
        assert not any(isinstance(module, NORMS) for module in modules)


def test_base_rates_make_the_mean_rate_of_every_rule_the_same(benchmark: ModuleType) -> None:
    space = load_space(benchmark.SPACE)
    members = benchmark.draw(space, 10)
    for rule in (benchmark.FIXED, *benchmark.SCALED):
        base = 0.1 / benchmark.mean_factor(space, members, rule)
        rates = [base * rate_factor(space.build(member), rule) for member in members]
        mean = math.exp(statistics.fmean(map(math.log, rates)))
        assert mean == pytest.approx(0.1)


def test_a_rule_that_turns_the_ranking_round_falls_short_by_two(benchmark: ModuleType) -> None:
    losses = np.tile(np.random.default_rng(0).permutation(20).astype(np.float64), (2, 1))
    same = benchmark.agreement(losses, losses * 3 + 1)
    turned = benchmark.agreement(losses, -losses)
    assert [drawn.value for drawn in same.values()] == pytest.approx([1, 1, 1, 1, 0])
    assert [drawn.value for drawn in turned.values()] == pytest.approx([-1, -1, 1, 1, 2])


def test_the_recorded_figures_follow_from_the_recorded_losses(benchmark: ModuleType) -> None:
    path = Path(benchmark.harness.RESULTS) / f"{benchmark.NAME}.json"
    recorded = json.loads(path.read_text(encoding="utf-8"))
    for space, rules in recorded["rules"].items():
        table = {rule: np.array(entry["losses"]) for rule, entry in rules.items()}
        assert {losses.shape for losses in table.values()} == {(2, recorded["members"])}
        for rule in benchmark.SCALED:
            for what, drawn in benchmark.agreement(table[benchmark.FIXED], table[rule]).items():
                known = recorded["taus"][f"{space}, {rule}: {what}"]
                assert drawn.value == pytest.approx(known["value"], abs=0.01)
