"""Who is tried again, how often, and what stays open when the search is ended meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import final

import pytest
from run_store.forked import KILLED, in_child
from search_runs import fake_search

from nas.run_store import Run
from nas.search.driver import resume
from nas.search.executors import AbstractExecutor, Job, Outcome, Setup
from nas.search.executors.base import Feed
from nas.search.executors.retries import MOST_ATTEMPTS, run_retrying


@final
class Scripted(AbstractExecutor):
    """Answers each job's n-th attempt with the n-th reason that its payload lists."""

    def __init__(self) -> None:
        super().__init__(1)
        self.tried: Counter[str] = Counter()

    def prepare(self, setup: Setup) -> None:
        """Nothing to prepare."""

    def run(
        self,
        jobs: Iterable[Job],
        on_outcome: Callable[[Outcome], None],
        should_stop: Callable[[], bool] = lambda: False,
        grace_s: float = 20.0,
    ) -> bool:
        feed = Feed(jobs)
        while (job := feed.take()) is not None:
            if should_stop():
                return False
            reasons = job.payload["reasons"]
            reason = reasons[min(self.tried[job.key], len(reasons) - 1)]
            self.tried[job.key] += 1
            on_outcome(Outcome(job.key, None if reason else {}, reason))
        return True

    def close(self) -> None:
        """Nothing to end."""


def attempts(*reasons: str | None) -> tuple[int, Outcome]:
    executor, told = Scripted(), list[Outcome]()
    assert run_retrying(executor, [Job("a", {"reasons": reasons})], told.append)
    (last,) = told
    return executor.tried["a"], last


@pytest.mark.fault("A7", "A8", "A11")
@pytest.mark.parametrize("reason", sorted(MOST_ATTEMPTS))
def test_a_job_whose_worker_never_survives_is_given_up(reason: str) -> None:
    count, last = attempts(reason)
    assert (count, last.reason) == (MOST_ATTEMPTS[reason], reason)


@pytest.mark.parametrize("reason", ["nonfinite", "infeasible", "crash", "timeout"])
def test_what_an_evaluation_said_of_itself_is_final(reason: str) -> None:
    assert attempts(reason)[0] == 1


def test_one_survival_is_enough_and_the_reason_of_the_last_failure_counts() -> None:
    assert attempts("died", None)[1].result == {}
    assert attempts("lost", "died", None)[0] == 3
    assert attempts("died", "oom", None)[0] == 2


def test_every_job_is_told_once_while_others_are_tried_again() -> None:
    executor, told = Scripted(), list[Outcome]()
    jobs = [Job(str(n), {"reasons": ["died", None] if n % 2 else [None]}) for n in range(6)]
    assert run_retrying(executor, iter(jobs), told.append)
    assert sorted(each.key for each in told) == [str(n) for n in range(6)]
    assert executor.tried == {str(n): 1 + n % 2 for n in range(6)}


@pytest.mark.fault("A5")
def test_a_worker_that_the_ending_signal_took_along_leaves_its_job_open() -> None:
    told, stopping = list[Outcome](), False

    def stop_after_first() -> bool:
        nonlocal stopping
        before, stopping = stopping, True
        return before

    executor = Scripted()
    jobs = [Job("a", {"reasons": ["died"]})]
    assert not run_retrying(executor, jobs, told.append, stop_after_first)
    assert told == []


def test_the_next_job_is_taken_only_when_the_outcomes_so_far_were_told() -> None:
    told: list[Outcome] = []
    seen: list[int] = []

    def jobs() -> Iterable[Job]:
        for number in range(4):
            seen.append(len(told))
            yield Job(str(number), {"reasons": [None]})

    assert run_retrying(Scripted(), jobs(), told.append)
    assert seen == [0, 1, 2, 3]


@pytest.mark.fault("A11")
def test_a_trial_that_takes_the_search_itself_along_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("attempts", "explore"):
        monkeypatch.setattr(f"nas.search.exploring.{module}.MOST_ABANDONED", 2)

    def go_on() -> None:
        if (tmp_path / "run").exists():
            resume(tmp_path / "run")
        else:
            fake_search(tmp_path, "objectives=[deadly, macs]")

    ends = [in_child(go_on)]
    while ends[-1] == KILLED:
        ends.append(in_child(go_on))
    assert ends[-1] == 0
    table = Run.open(tmp_path / "run").table()
    failed = table.failed()
    assert len(failed) * 2 == len(ends) - 1 > 0
    assert {trial.reason for trial in failed} == {"died"}
    assert "killed in each of 2 attempts" in str(failed[0].message)
    assert len(table.finished()) + len(failed) == 24
