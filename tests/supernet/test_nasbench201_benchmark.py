"""The benchmark on NAS-Bench-201: which cells count as connected, and who ranks whom."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scale import CHECKOUT

from nas.space import load_space
from nas.space.cell_table import TabulatedCell


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(CHECKOUT / "benchmarks"))
    return importlib.import_module("nasbench201_supernet")


def test_341_cells_lead_nothing_to_their_output(benchmark: ModuleType) -> None:
    members = list(load_space(benchmark.SPACE).enumerate())
    assert sum(not benchmark.is_connected(member) for member in members) == 341


def test_a_perfect_ranking_has_tau_1_in_every_subset_and_its_worth_above_macs(
    benchmark: ModuleType,
) -> None:
    space = load_space(benchmark.SPACE)
    members = [space.sample(np.random.default_rng(number)) for number in range(60)]
    truth = np.random.default_rng(0).normal(size=60)
    cells = [
        TabulatedCell(str(number), member, {benchmark.TRUTH: float(truth[number])})
        for number, member in enumerate(members)
    ]
    rows = benchmark.rows_of(cells, {"macs": -truth, "seed 1": truth, "seed 2": truth})
    assert {row["subset"]: row["cells"] for row in rows} == {
        "all": 60,
        "connected": sum(map(benchmark.is_connected, members)),
        "top half": 30,
        "top tenth": 6,
    }
    for row in rows:
        expected = -1 if row["ranking"] == "macs" else 1
        assert row["tau"]["value"] == row["spearman"]["value"] == expected
        assert row["tau_at_equal_macs"]["value"] is None  # no two have the same
        assert row["tau_above_macs"]["value"] == (0 if row["ranking"] == "macs" else 2)
    for entry in benchmark.summary(rows):
        assert (entry["seeds"], entry["tau"]["mean"], entry["tau"]["deviation"]) == (2, 1, 0)


def test_the_recorded_result_is_of_cells_that_did_not_choose_the_recipe(
    benchmark: ModuleType,
) -> None:
    path = Path(benchmark.harness.RESULTS) / f"{benchmark.NAME}.json"
    recorded = json.loads(path.read_text())
    assert recorded["recipe"] == benchmark.RECIPE.model_dump(mode="json")
    counts = {row["subset"]: row["cells"] for row in recorded["rows"]}
    assert 1000 <= counts["all"] <= benchmark.SELECTION[0]
    assert {training["seed"] for training in recorded["trainings"]} == {1, 2, 3}
