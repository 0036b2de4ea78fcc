"""Persistent worker processes on this machine.

A worker is a fresh Python process that talks JSON lines over a socket, so nothing of the driver is
pickled or forked, and a plugin that prints cannot disturb it. A job that runs too long costs its
worker, which is started anew; a worker that dies costs its job, which failed with a reason.
"""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, final

from nas.errors import EnvironmentFault, NasError
from nas.search.executors.attempt import TALK
from nas.search.executors.base import (
    EXECUTORS,
    AbstractExecutor,
    Feed,
    Job,
    Outcome,
    Setup,
    outcome,
)
from nas.search.executors.local_worker import TERM_GRACE_S, Worker, end_workers

POLL_S: Final = 0.1
SETUP_TIMEOUT_S: Final = 600.0
MOST_FAILED_STARTS: Final = 3
"""Workers in a row that end before they are ready, after which there is no use in another one."""


@EXECUTORS.register("local")
@final
class LocalExecutor(AbstractExecutor):
    """Worker processes that stay between batches.

    Args:
        workers: Processes.
    """

    def __init__(self, workers: int = 1) -> None:
        super().__init__(workers)
        self._workers: list[Worker] = []
        self._setup: Setup | None = None
        self._failed_starts = 0

    def prepare(self, setup: Setup) -> None:
        """Start the workers, or give those that run a new task; wait for the first to be ready."""
        if setup != self._setup:
            for worker in self._workers:
                worker.set_up(setup)
        self._setup = setup
        while len(self._workers) < self.workers:
            self._workers.append(Worker(setup))
        try:
            while not any(worker.ready for worker in self._workers):
                self._wait(self._workers)
        except NasError:
            self._setup = None  # whoever asks for it again is told again
            raise

    def settle(self) -> None:
        """Wait until all workers are ready, those that replace lost ones included."""
        while waiting := [worker for worker in self._workers if not worker.ready]:
            self._wait(waiting)

    def _wait(self, workers: Iterable[Worker]) -> None:
        self._listen(workers)
        _check_patience(workers)

    def run(
        self,
        jobs: Iterable[Job],
        on_outcome: Callable[[Outcome], None],
        should_stop: Callable[[], bool] = lambda: False,
        grace_s: float = 20.0,
    ) -> bool:
        """Run the jobs on all workers."""
        assert self._setup is not None, "prepare comes first"
        feed = Feed(jobs)
        stopped_at: float | None = None
        while True:
            if stopped_at is None and should_stop():
                stopped_at = time.monotonic()
                for worker in self._busy():
                    worker.leave()
            if stopped_at is not None:
                if not self._busy() or time.monotonic() - stopped_at > grace_s:
                    complete = feed.ended and not self._busy()
                    self._abandon()
                    return complete
            else:
                self._hand_out(feed)
                if feed.ended and not self._busy():
                    return True
            for done in self._collect():
                on_outcome(done)

    def process_ids(self) -> list[int]:
        """Return the workers' processes."""
        return [worker.group.pid for worker in self._workers]

    def close(self) -> None:
        """End the workers."""
        workers, self._workers = self._workers, []
        self._setup = None
        end_workers(workers)

    def _busy(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.job is not None]

    def _hand_out(self, feed: Feed) -> None:
        for worker in self._workers:
            if worker.ready and worker.job is None:
                job = feed.take()
                if job is None:
                    return
                worker.start(job)

    def _abandon(self) -> None:
        busy = self._busy()
        self._workers = [worker for worker in self._workers if worker not in busy]
        end_workers(busy, TERM_GRACE_S)

    def _replace(self, workers: list[Worker], grace_s: float = TERM_GRACE_S) -> None:
        assert self._setup is not None
        end_workers(workers, grace_s)
        for worker in workers:
            self._workers[self._workers.index(worker)] = Worker(self._setup)

    def _collect(self) -> list[Outcome]:
        """Wait a moment; return what came, and what was lost to time or death."""
        found = self._listen(self._workers)
        found += self._end_overdue()
        _check_patience(self._workers)
        return found

    def _end_overdue(self) -> list[Outcome]:
        """End the workers whose jobs take too long, all at once: none waits for another's end."""
        assert self._setup is not None
        limit = self._setup.timeout_s
        overdue = [worker for worker in self._busy() if worker.seconds > limit]
        told = f"It took longer than {limit:g} s and was ended."
        found = [
            Outcome(worker.job.key, None, "timeout", told, worker.seconds)
            for worker in overdue
            if worker.job is not None
        ]
        self._replace(overdue)
        return found

    def _listen(self, workers: Iterable[Worker]) -> list[Outcome]:
        """Read what workers say for up to `POLL_S`; return the outcomes that came."""
        found: list[Outcome] = []
        heard = list(workers)
        with selectors.DefaultSelector() as selector:
            for worker in heard:
                selector.register(worker.channel, selectors.EVENT_READ)
            selector.select(POLL_S)
        for worker in heard:
            messages, alive = worker.receive()
            told = [each for message in messages for each in self._take(worker, message)]
            found += told
            if not alive:
                found += self._bury(worker)
            elif any(each.reason == "died" for each in told):
                self._replace([worker])  # it said that it is of no use any more
            elif worker.job is not None:
                worker.look_at_memory()
        return found

    def _take(self, worker: Worker, message: dict[str, Any]) -> list[Outcome]:
        if message["kind"] == "outcome":
            worker.job = None
            return [outcome(message["key"], message)]
        if message["kind"] == "said":
            logging.getLogger(TALK).log(message["level"], "%s", message["text"])
            return []
        if worker.take_readiness(message):
            self._failed_starts = 0
        return []

    def _bury(self, worker: Worker) -> list[Outcome]:
        """Put a new worker in the place of a dead one; return the outcome of its job, if any."""
        was_ready, job, seconds = worker.ready, worker.job, worker.seconds
        reason, message = worker.cause_of_death()
        self._failed_starts += not was_ready
        if self._failed_starts >= MOST_FAILED_STARTS:
            self.close()
            raise EnvironmentFault(
                f"A worker process could not be kept up: {message}",
                why="It ended before it had a job to do, and so did those after it.",
                fix="Try fewer --workers, or look at the message above.",
            )
        self._replace([worker])
        return [] if job is None else [Outcome(job.key, None, reason, message, seconds)]


def _check_patience(waiting: Iterable[Worker]) -> None:
    if any(worker.seconds > SETUP_TIMEOUT_S for worker in waiting if not worker.ready):
        raise EnvironmentFault(
            f"A worker process was not ready after {SETUP_TIMEOUT_S:g} s.",
            fix="Look whether the data can be read, and try fewer --workers.",
        )
