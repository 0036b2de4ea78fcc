"""What a plan is made of: the cost of its bins, the order of the front, seeds that pair."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from made_runs import made_run

from nas.run_store import Run
from nas.search.confirm import planning
from nas.search.confirm.plan import RECIPES, SEEDS_A, SEEDS_B, confirm_seed
from nas.search.confirm.protocol import Bins
from nas.search.confirm.results import Results
from nas.search.confirm.view import confirmation, confirmed_errors
from nas.search.settings.goals import Goals
from nas.search.settings.resolve import resolve_config


@pytest.mark.parametrize(
    ("objectives", "constraints", "cost"),
    [
        ("[error, latency]", "{}", "latency_ms[eager,b1,fp32]"),
        ("[error, macs]", "{latency: {max: 9 ms}}", "latency_ms[eager,b1,fp32]"),
        ("[error, parameters, macs]", "{}", "parameters"),
        ("[macs, error]", "{}", "macs"),
        ("[error]", "{}", None),
        ("[error, cross_entropy]", "{}", None),
    ],
)
def test_bins_lie_along_latency_or_the_first_cost(
    objectives: str, constraints: str, cost: str | None
) -> None:
    overrides = [f"objectives={objectives}", f"constraints={constraints}"]
    config = resolve_config("tiny_exhaustive", overrides=overrides)
    assert planning.cost_objective(Goals.of(config)) == cost


def trial(number: int, family: str, error: float, macs: float) -> Any:
    values = {"error": error, "macs": macs}
    return SimpleNamespace(number=number, extra={"family": family}, value=values.__getitem__)


def order(
    points: list[Any], bins: Bins, monkeypatch: pytest.MonkeyPatch, across: bool
) -> list[int]:
    trust = SimpleNamespace(across=across, calibrated=lambda each: each.number)
    monkeypatch.setattr(planning, "Trust", SimpleNamespace(read=lambda *given: trust))
    goals = Goals.of(resolve_config("tiny_exhaustive", overrides=["objectives=[error, macs]"]))
    run: Any = SimpleNamespace(table=dict, records=list)
    return [each.number for each in planning._best_first(run, points, goals, "macs", bins)]


def test_families_take_turns_within_a_bin(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        trial(0, "dense", 0.1, 1.0),
        trial(1, "dense", 0.2, 1.1),
        trial(2, "chain", 0.3, 1.2),
        trial(3, "dense", 0.05, 9.0),
        trial(4, "chain", 0.06, 9.0),
    ]
    bins = Bins((5.0,))
    assert order(points, bins, monkeypatch, across=False) == [3, 4, 0, 2, 1]
    # Trusted calibrated scores (here: the trial's number) compare across families.
    assert order(points, bins, monkeypatch, across=True) == [0, 1, 2, 3, 4]


def test_seeds_a_and_b_are_apart_and_recipes_use_seeds_a() -> None:
    seeds = [confirm_seed(7, purpose, index) for purpose in (SEEDS_A, SEEDS_B) for index in (0, 1)]
    assert len(set(seeds)) == 4
    assert confirm_seed(7, RECIPES, 1) == confirm_seed(7, SEEDS_A, 1)


def test_a_run_without_plan_has_no_confirmation(tmp_path: Any) -> None:
    with Run.open(made_run(tmp_path)) as run:
        assert confirmation(run) is None
        assert confirmed_errors(run) == {}


def test_a_training_that_is_there_twice_counts_once() -> None:
    head = {"candidate": "a", "recipe_hash": "r", "seed_index": 0}
    first = {"kind": "confirm_finished", **head, "test_error": 0.1, "test_images": 50}
    again = {**first, "test_error": 0.9}
    failed = {"kind": "confirm_failed", **head, "seed_index": 1, "reason": "oom"}
    found = Results([first, again, failed])
    assert found.scores("test", "a", "r", 3) == {0: 0.1}
    assert found.failed("test", "a", "r", 3) == ["oom"]
    assert found.scores("validation", "a", "r", 3) == {}
