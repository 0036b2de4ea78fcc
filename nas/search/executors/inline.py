"""The driver itself as the one worker: for tests and for looking at a task in a debugger."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import final

from nas.search.executors.base import (
    EXECUTORS,
    AbstractExecutor,
    Feed,
    Job,
    Outcome,
    Setup,
    Task,
    make_task,
    outcome,
    payload_of,
    perform,
)


@EXECUTORS.register("inline")
@final
class InlineExecutor(AbstractExecutor):
    """Runs one job after another in this process; a time limit cannot be kept here."""

    def __init__(self, workers: int = 1) -> None:
        super().__init__(1)
        self._task: Task | None = None
        self._setup: Setup | None = None

    def prepare(self, setup: Setup) -> None:
        """Make the task, unless it is there already."""
        if self._task is None or setup != self._setup:
            self._task = None
            self._task = make_task(setup.factory, setup.arguments)
            self._setup = setup

    def run(
        self,
        jobs: Iterable[Job],
        on_outcome: Callable[[Outcome], None],
        should_stop: Callable[[], bool] = lambda: False,
        grace_s: float = 20.0,
    ) -> bool:
        """Run the jobs in order."""
        assert self._task is not None, "prepare comes first"
        feed = Feed(jobs)
        while not feed.ended:
            if should_stop():
                return False
            job = feed.take()
            if job is not None:
                on_outcome(outcome(job.key, perform(self._task, payload_of(job), should_stop)))
        return True

    def close(self) -> None:
        """Forget the task."""
        self._task = None
