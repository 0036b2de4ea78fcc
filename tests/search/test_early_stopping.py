"""What an early end of trainings may decide, and that it needs Ray."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nas.search.confirm.plan import Plan
from nas.search.confirm.results import VALIDATED, VALIDATION_FAILED, Results
from nas.search.executors.base import Job, Outcome, Setup, Task
from nas.search.executors.inline import InlineExecutor
from nas.search.executors.tune.early_stopping import STOPPED, EarlyStopping
from nas.search.session import Session
from nas.search.training.trainings import run_trainings


@pytest.mark.parametrize(
    ("epochs", "looks"), [(1, [1]), (2, [1]), (9, [1, 3, 9]), (60, [6, 18, 54])]
)
def test_a_first_ninth_is_for_all_and_a_third_goes_on(epochs: int, looks: list[int]) -> None:
    stopping = EarlyStopping(epochs)
    assert stopping.looks() == looks
    assert stopping.grace == looks[0]


def validated(candidate: str, seed_index: int, **more: Any) -> dict[str, Any]:
    return {
        "kind": VALIDATION_FAILED if "reason" in more else VALIDATED,
        "candidate": candidate,
        "recipe_hash": "r",
        "seed_index": seed_index,
        **more,
    }


def test_a_network_with_a_stopped_training_is_not_named_by_the_others() -> None:
    records = [
        validated("lucky", 0, validation_error=0.01),
        validated("lucky", 1, reason=STOPPED, message="Stopped early"),
        validated("whole", 0, validation_error=0.2),
        validated("whole", 1, reason="nonfinite", message="nan"),
    ]
    results = Results(records)
    plan = cast(Plan, SimpleNamespace(recipe="r", seeds_a=2))
    assert results.ranking(plan, "lucky") == {}
    assert results.ranking(plan, "whole") == {0: 0.2}
    assert results.failed("validation", "lucky", "r", 2) == [STOPPED]


def doubling_task(arguments: dict[str, Any]) -> Task:
    return lambda payload: {"twice": 2 * payload["number"]}


def test_without_ray_all_trainings_go_to_their_end_and_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    executor = InlineExecutor()
    setup = Setup(f"{__name__}:doubling_task", {})
    executor.prepare(setup)
    run = SimpleNamespace(path=tmp_path)
    session = SimpleNamespace(trainer=lambda _: executor, stopper=lambda: False, run=run)
    found: list[Outcome] = []
    jobs = [Job(str(number), {"number": number}) for number in range(3)]
    with caplog.at_level(logging.WARNING, logger="nas"):
        assert run_trainings(cast(Session, session), setup, jobs, found.append, EarlyStopping(9))
    assert "confirm.early_stopping needs --executor ray" in caplog.text
    assert [each.result for each in found] == [{"twice": 0}, {"twice": 2}, {"twice": 4}]
