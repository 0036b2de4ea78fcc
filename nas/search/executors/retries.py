"""Which failed jobs are tried again: those whose worker did not survive, and not for ever.

An evaluation that says why it failed would say the same again. A worker that was killed, or whose
machine was lost, says nothing about the network; one that dies with it every time does. Memory may
be short for a moment, so one more try decides.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, final

from nas.search.executors.attempt import LEFT
from nas.search.executors.base import AbstractExecutor, Job, Outcome

MOST_ATTEMPTS: Final[Mapping[str, int]] = {"died": 3, "lost": 3, "oom": 2}
"""Attempts at a job by the reason of its last failure; other reasons are final at once."""

Retry = Callable[[Job, Outcome], Job | None]
"""Given a job and its failure, return the job that tries it again, or None if that was the last."""


@final
class CountedRetries:
    """Tries again as often as `MOST_ATTEMPTS` says, counted here."""

    def __init__(self) -> None:
        self._failed: Counter[str] = Counter()

    def __call__(self, job: Job, outcome: Outcome) -> Job | None:
        """Return the job again while it has attempts left."""
        self._failed[job.key] += 1
        return job if has_attempts_left(outcome.reason, self._failed[job.key]) else None


def has_attempts_left(reason: str | None, failed: int) -> bool:
    """Tell whether a job that failed `failed` times, the last time for `reason`, is tried again."""
    return failed < MOST_ATTEMPTS.get(reason or "", 1)


def run_retrying(
    executor: AbstractExecutor,
    jobs: Iterable[Job],
    on_outcome: Callable[[Outcome], None],
    should_stop: Callable[[], bool] = lambda: False,
    retry: Retry | None = None,
) -> bool:
    """Run jobs as `executor.run` does, and again those that deserve it.

    Args:
        executor: Prepared for them.
        jobs: What to run, each under a key of its own.
        on_outcome: Told each job's last outcome, once.
        should_stop: As there. What a worker's death leaves open while stopping stays open: the
            signal that ended the search may have ended its workers, too.
        retry: Asked about every job that failed; by default a `CountedRetries`.

    Returns:
        Whether all jobs have an outcome.
    """
    flow = _Flow(jobs, on_outcome, should_stop, retry or CountedRetries())
    while True:
        if not executor.run(flow.feed(), flow.take, should_stop) or flow.left_open:
            return False
        if not flow.again:
            return True


@final
class _Flow:
    def __init__(
        self,
        jobs: Iterable[Job],
        on_outcome: Callable[[Outcome], None],
        should_stop: Callable[[], bool],
        retry: Retry,
    ) -> None:
        self.again: deque[Job] = deque()
        self.left_open = False
        self._fresh = iter(jobs)
        self._under_way: dict[str, Job] = {}
        self._on_outcome = on_outcome
        self._should_stop = should_stop
        self._retry = retry

    def feed(self) -> Iterator[Job]:
        """Yield what waits for another try before what was never tried."""
        while True:
            job = self.again.popleft() if self.again else next(self._fresh, None)
            if job is None:
                return
            self._under_way[job.key] = job
            yield job

    def take(self, outcome: Outcome) -> None:
        job = self._under_way.pop(outcome.key)
        stopping = outcome.reason in ("died", "lost") and self._should_stop()
        if stopping or outcome.reason == LEFT:
            self.left_open = True
            return
        again = None if outcome.result is not None else self._retry(job, outcome)
        if again is None:
            self._on_outcome(outcome)
        else:
            self.again.append(again)
