"""Clocks that time single calls, and what they know of being kept from running.

A clock on the wall also counts the time in which the kernel let somebody else run. Where the
kernel tells how long the calling thread was ready to run and had to wait (Linux), a wait of a time
slice or more is taken off the call: it says nothing about the network. Shorter waits are part of
any call on any machine and stay in. Of a call that several threads compute nothing is taken off.
"""

from __future__ import annotations

import abc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final, final

Call = Callable[[], object]
Clock = Callable[[], int]

TASKS: Final = Path("/proc/self/task")
SLICE_NS: Final = 1_000_000
"""Waits below this are no time slice of another process; in nanoseconds."""


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
    def watching(self) -> Iterator[None]:
        """Get ready to time calls from this thread."""
        yield


@final
class RunQueue:
    """How long this thread was ready to run and had to wait for a processor.

    Args:
        tasks: Folder with one folder per thread, as the kernel shows it.
    """

    def __init__(self, tasks: Path = TASKS) -> None:
        self._tasks = tasks
        self._file: int | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at this thread; without a kernel's help at nothing."""
        path = self._tasks / str(threading.get_native_id()) / "schedstat"
        try:
            with suppress(OSError):
                self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            yield
        finally:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def waited(self) -> int:
        """Return the nanoseconds of waiting so far; 0 where nobody tells."""
        if self._file is None:
            return 0
        try:
            return int(os.pread(self._file, 64, 0).split()[1])
        except (OSError, ValueError, IndexError):
            return 0


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
        before = self._queue.waited() if self._queue else 0
        start = self._clock()
        call()
        taken = self._clock() - start
        lost = self._queue.waited() - before if self._queue else 0
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
    def watching(self) -> Iterator[None]:
        """Watch this thread's waits."""
        with self._queue.watching() if self._queue else nullcontext():
            yield


def machine_clock(waits: bool = True) -> WallClock:
    """Return the clock of this machine with all that its kernel tells.

    Args:
        waits: Whether waits for the processor are taken off. Where several threads compute they
            must not be: while one waits, others may do its share, or it may have had nothing to do.
    """
    return WallClock(time.perf_counter_ns, RunQueue() if waits else None, asleep_ns)


def asleep_ns() -> int:
    """Return the nanoseconds the machine has slept since it was started, 0 where nobody knows."""
    since_start = getattr(time, "CLOCK_BOOTTIME", None)  # Linux alone has it
    if since_start is None:
        return 0
    return time.clock_gettime_ns(since_start) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
