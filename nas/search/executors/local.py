"""Persistent worker processes on this machine.

A worker is a fresh Python process that talks JSON lines over a socket, so nothing of the driver is
pickled or forked, and a plugin that prints cannot disturb it. A job that runs too long costs its
worker, which is started anew; a worker that dies costs its job, which failed with a reason.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, final

from nas.errors import EnvironmentFault, NasError
from nas.search.executors.base import (
    EXECUTORS,
    AbstractExecutor,
    Feed,
    Job,
    Outcome,
    Setup,
    outcome,
    payload_of,
    rebuild_error,
)

POLL_S = 0.1
TERM_GRACE_S = 2.0
SETUP_TIMEOUT_S = 600.0


@final
class Worker:
    """One worker process as the driver sees it.

    Args:
        setup: Sent at once.
    """

    def __init__(self, setup: Setup) -> None:
        self.channel, theirs = socket.socketpair()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        self.job: Job | None = None
        self.ready = False
        self._setups = 0
        self._since = time.monotonic()
        self._buffer = b""
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nas.search.executors.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self.errors,
                stderr=self.errors,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=_environment(setup.threads),
            )
        self.set_up(setup)

    def set_up(self, setup: Setup) -> None:
        """Send the setup."""
        self.ready, self._since = False, time.monotonic()
        self._setups += 1
        self._send(
            {
                "kind": "setup",
                "number": self._setups,
                "factory": setup.factory,
                "arguments": dict(setup.arguments),
                "memory_gib": setup.memory_gib,
            }
        )

    def start(self, job: Job) -> None:
        """Send a job."""
        self.job, self._since = job, time.monotonic()
        self._send({"kind": "job", "key": job.key, "payload": payload_of(job)})

    def take_readiness(self, message: dict[str, Any]) -> bool:
        """Note the answer to a setup; return whether the worker is ready for the last one.

        Raises:
            NasError: What the factory raised.
        """
        if message["number"] != self._setups:
            return False  # the answer to a setup that was replaced meanwhile
        if message["kind"] == "unfit":
            raise rebuild_error(message["error"])
        self.ready = True
        return True

    @property
    def seconds(self) -> float:
        """Time since the last job or setup was sent."""
        return time.monotonic() - self._since

    def receive(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the messages that came, and whether the worker is still there."""
        try:
            data = self.channel.recv(1 << 16)
        except OSError:
            data = b""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines], bool(data)

    def end(self, grace_s: float = 0.0) -> int | None:
        """End the worker and everything it started; return its exit code."""
        self.channel.close()
        for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
            if number == signal.SIGTERM and not grace_s:
                continue
            with suppress(OSError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
                break
        return self.process.returncode

    def died(self) -> tuple[str, str]:
        """Return reason and message of a worker that closed its end."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(TERM_GRACE_S)
        code = self.process.poll()
        tail = self._last_words()
        if code == -signal.SIGKILL or "bad_alloc" in tail or "MemoryError" in tail:
            return "oom", (
                "The worker was ended by the system, as happens when memory runs out. " + tail
            ).strip()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return "died", f"The worker died with {how}. {tail}".strip()

    def _last_words(self) -> str:
        self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, self.errors.tell() - 2000))
        lines = self.errors.read().decode("utf-8", "replace").strip().splitlines()
        return " ".join(lines[-3:])[-500:]

    def _send(self, message: dict[str, Any]) -> None:
        # A worker that is gone already is seen at the next receive.
        with suppress(OSError):
            self.channel.sendall(json.dumps(message, allow_nan=False).encode() + b"\n")


def _environment(threads: int) -> dict[str, str]:
    return {
        **os.environ,
        # What the driver can import, the worker can: a plugin beside a script, a checkout.
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path) or ".",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
    }


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
                self._wait(set(self._workers))
        except NasError:
            self._setup = None  # whoever asks for it again is told again
            raise

    def settle(self) -> None:
        """Wait until all workers are ready, those that replace lost ones included."""
        while waiting := {worker for worker in self._workers if not worker.ready}:
            self._wait(waiting)

    def _wait(self, workers: set[Worker]) -> None:
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
        return [worker.process.pid for worker in self._workers]

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.end()
        for worker in self._workers:
            worker.errors.close()
        self._workers = []
        self._setup = None

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
        for worker in self._busy():
            worker.end(TERM_GRACE_S)
            worker.errors.close()
            self._workers.remove(worker)

    def _replace(self, worker: Worker) -> None:
        assert self._setup is not None
        worker.end(TERM_GRACE_S)
        worker.errors.close()
        self._workers[self._workers.index(worker)] = Worker(self._setup)

    def _collect(self) -> list[Outcome]:
        """Wait a moment; return what came, and what was lost to time or death."""
        found: list[Outcome] = []
        self._listen(set(self._workers), found)
        assert self._setup is not None
        for worker in self._busy():
            job = worker.job
            if job is not None and worker.seconds > self._setup.timeout_s:
                message = f"It took longer than {self._setup.timeout_s:g} s and was ended."
                found.append(Outcome(job.key, None, "timeout", message, worker.seconds))
                self._replace(worker)
        _check_patience({worker for worker in self._workers if not worker.ready})
        return found

    def _listen(self, workers: set[Worker], found: list[Outcome] | None = None) -> list[Worker]:
        """Read what workers say for up to `POLL_S`; return those that became ready."""
        became_ready = []
        with selectors.DefaultSelector() as selector:
            for worker in workers:
                selector.register(worker.channel, selectors.EVENT_READ, worker)
            events = selector.select(POLL_S)
        for key, _ in events:
            talking: Worker = key.data
            messages, alive = talking.receive()
            for message in messages:
                if message["kind"] == "outcome":
                    talking.job = None
                    if found is not None:
                        found.append(outcome(message["key"], message))
                elif talking.take_readiness(message):
                    became_ready.append(talking)
            if not alive:
                self._bury(talking, found)
        return became_ready

    def _bury(self, worker: Worker, found: list[Outcome] | None) -> None:
        reason, message = worker.died()
        if worker.job is None or not worker.ready:
            self.close()
            raise EnvironmentFault(
                f"A worker process could not be kept up: {message}",
                why="It ended before it had a job to do.",
                fix="Try fewer --workers, or look at the message above.",
            )
        if found is not None:
            found.append(Outcome(worker.job.key, None, reason, message, worker.seconds))
        self._replace(worker)


def _check_patience(waiting: set[Worker]) -> None:
    if any(worker.seconds > SETUP_TIMEOUT_S for worker in waiting if not worker.ready):
        raise EnvironmentFault(
            f"A worker process was not ready after {SETUP_TIMEOUT_S:g} s.",
            fix="Look whether the data can be read, and try fewer --workers.",
        )
