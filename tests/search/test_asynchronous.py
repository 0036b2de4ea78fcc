"""Search without a barrier: nothing twice, nothing lost, and the log tells how each came about."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_store.forked import KILLED, in_child
from scale import scaled
from search_runs import TRIALS, asked_and_closed, fake_config, fake_search

from nas.run_store import Run, TrialTable
from nas.search.driver import resume
from nas.search.exploring.history import PLAN_KIND, BatchPlan
from nas.search.exploring.propose import Planner
from nas.search.settings.goals import Goals
from nas.search.settings.resolve import searched_space

ORDER = "search.order=asynchronous"


def replay(run: Run) -> list[BatchPlan]:
    """Plan the whole run anew, each time from the records that came before."""
    config = fake_config(ORDER)
    planner = Planner(searched_space(config), config, Goals.of(config))
    plans: list[BatchPlan] = []
    records = run.records()
    for seq, record in enumerate(records):
        if record["kind"] == PLAN_KIND:
            plan = planner.plan(plans, TrialTable.fold(records[:seq]), TRIALS, 1)
            assert plan is not None
            plans.append(plan)
    return plans


@pytest.mark.parametrize(("executor", "workers"), [("inline", 1), ("local", 2)])
def test_every_proposal_follows_from_the_records_before_it(
    tmp_path: Path, executor: str, workers: int
) -> None:
    run = fake_search(tmp_path, ORDER, executor=executor, workers=workers)
    asked, closed = asked_and_closed(run)
    assert asked == closed == list(range(TRIALS))
    assert run.state() == "finished"
    kept = [BatchPlan.from_record(each) for each in run.records() if each["kind"] == PLAN_KIND]
    assert kept == replay(run)


def test_what_is_measured_waits_for_a_quiet_device(tmp_path: Path) -> None:
    run = fake_search(tmp_path, ORDER, "objectives=[fake_error, fake_latency]", "search.batch=5")
    assert len(run.table().finished()) == TRIALS
    kinds = [each["kind"] for each in run.records() if each["kind"].startswith("trial_")]
    open_trials, most = 0, 0
    for kind in kinds:
        open_trials += 1 if kind == "trial_asked" else -1
        most = max(most, open_trials)
    assert most == 5


@pytest.mark.fault("A1", "A4")
def test_killed_at_any_write_and_resumed_no_trial_is_lost_or_closed_twice(tmp_path: Path) -> None:
    for number in range(scaled(30)):
        name = f"killed-{number}"
        fault = f"*:{20 + 37 * number}"
        ended = in_child(lambda: _search(tmp_path, name), fault=fault)  # noqa: B023
        assert ended in (0, KILLED)
        run = resume(tmp_path / name) if ended else Run.open(tmp_path / name)
        asked, closed = asked_and_closed(run)
        assert asked == closed == list(range(TRIALS))


def _search(runs: Path, name: str) -> None:
    fake_search(runs, ORDER, name=name)


def test_more_trials_go_on_without_a_barrier(tmp_path: Path) -> None:
    fake_search(tmp_path, ORDER)
    run = resume(tmp_path / "run", extra_trials=7)
    assert asked_and_closed(run)[1] == list(range(TRIALS + 7))
