"""Clocks that time single calls, and what they know of being kept from running.

A clock on the wall also counts the time in which the kernel let somebody else run. Where the
kernel tells how long each thread of this process was ready to run and had to wait (Linux), a wait
of a time slice or more is taken off the call: it says nothing about the network. Shorter waits are
part of any call on any machine and stay in.
"""

from __future__ import annotations

import abc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

Call = Callable[[], object]
Clock = Callable[[], int]

TASKS: Final = Path("/proc/self/task")
SLICE_NS: Final = 1_000_000
"""Waits below this are no time slice of another process; in nanoseconds."""
_AWAKE_NS: Final = 50_000


class AbstractStopwatch(abc.ABC):
    """Times single calls."""

    @abc.abstractmethod
    def time(self, call: Call) -> float:
        """Return the duration of one call in milliseconds."""

    @abc.abstractmethod
    def now(self) -> int:
        """Return a monotonic time in nanoseconds."""

    def slept(self) -> int:
        """Return the nanoseconds that the machine has slept so far, as far as anybody knows."""
        return 0

    def interruptions(self) -> int:
        """Return the calls so far from which waits for the processor were taken off."""
        return 0

    @contextmanager
    def watching(self, warm_up: Call) -> Iterator[None]:
        """Get ready for what `warm_up` runs, and run it."""
        warm_up()
        yield


@final
class RunQueue:
    """How long threads of this process were ready to run and had to wait for a processor.

    Args:
        tasks: Folder with one folder per thread, as the kernel shows it.
    """

    def __init__(self, tasks: Path = TASKS) -> None:
        self._tasks = tasks
        self._files: dict[int, int] = {}

    @contextmanager
    def watching(self, work: Call) -> Iterator[None]:
        """Look at the threads that `work` runs on, and at this one; without a kernel's help none.

        A thread that waits for work at a barrier is not waiting for a processor, so only those
        that compute matter.
        """
        try:
            self._open()
            before = {task: self._numbers(file)[0] for task, file in self._files.items()}
            work()
            self._open()
            own = threading.get_native_id()
            for task, file in list(self._files.items()):
                if task != own and self._numbers(file)[0] - before.get(task, 0) < _AWAKE_NS:
                    os.close(self._files.pop(task))
            yield
        finally:
            for file in self._files.values():
                os.close(file)
            self._files = {}

    def waits(self) -> tuple[int, ...]:
        """Return each watched thread's nanoseconds of waiting so far."""
        return tuple(self._numbers(file)[1] for file in self._files.values())

    def _open(self) -> None:
        try:
            tasks = [int(path.name) for path in self._tasks.iterdir()]
        except (OSError, ValueError):
            return
        for task in tasks:
            if task not in self._files:
                path = self._tasks / str(task) / "schedstat"
                try:
                    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                except OSError:
                    continue
                self._files[task] = file

    @staticmethod
    def _numbers(file: int) -> tuple[int, int]:
        """Return nanoseconds run and nanoseconds waited; zeros for a thread that has ended."""
        try:
            words = os.pread(file, 64, 0).split()
            return int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):
            return 0, 0


@final
class WallClock(AbstractStopwatch):
    """Reads a monotonic clock before and after.

    Args:
        clock: Nanoseconds since any moment.
        queue: Tells waits for a processor, which are taken off; None takes nothing off.
        asleep: Nanoseconds that the machine has slept so far.
    """

    def __init__(
        self,
        clock: Clock = time.perf_counter_ns,
        queue: RunQueue | None = None,
        asleep: Clock | None = None,
    ) -> None:
        self._clock = clock
        self._queue = queue
        self._asleep = asleep or (lambda: 0)
        self._interruptions = 0

    def time(self, call: Call) -> float:
        """Return the duration of one call in milliseconds."""
        before = self._queue.waits() if self._queue else ()
        start = self._clock()
        call()
        taken = self._clock() - start
        if before and self._queue:
            # Threads wait for each other, so the longest wait is what the call surely lost.
            lost = max(after - at for at, after in zip(before, self._queue.waits(), strict=True))
            if SLICE_NS <= lost < taken:
                self._interruptions += 1
                taken -= lost
        return taken / 1e6

    def now(self) -> int:
        """Return the clock's time in nanoseconds."""
        return self._clock()

    def slept(self) -> int:
        """Return the nanoseconds that the machine has slept so far."""
        return self._asleep()

    def interruptions(self) -> int:
        """Return the calls so far from which waits were taken off."""
        return self._interruptions

    @contextmanager
    def watching(self, warm_up: Call) -> Iterator[None]:
        """Run `warm_up` and watch the threads it ran on."""
        if self._queue is None:
            warm_up()
            yield
            return
        with self._queue.watching(warm_up):
            yield


def machine_clock(waits: bool = True) -> WallClock:
    """Return the clock of this machine with all that its kernel tells.

    Args:
        waits: Whether waits for the processor are taken off. Where threads take over each other's
            work they must not be: while one waited, the others did its share.
    """
    return WallClock(time.perf_counter_ns, RunQueue() if waits else None, asleep_ns)


def asleep_ns() -> int:
    """Return the nanoseconds the machine has slept since it was started, 0 where nobody knows."""
    since_start = getattr(time, "CLOCK_BOOTTIME", None)  # Linux alone has it
    if since_start is None:
        return 0
    return time.clock_gettime_ns(since_start) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
