"""How busy a device is with work of others, before and while it is measured.

On Linux the kernel says how long each processor worked; less what this process and its children
used, that is the work of others. Only processors this process may run on count. Elsewhere the load
average has to do, which is a minute late. On CUDA the driver says how busy the device is; while we
use it ourselves that says nothing, so it is asked before.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, final

from nas.objectives.device_fingerprint import usable_cores
from nas.training.device_lock import count_wait

PROC: Final = Path("/proc")
BUSY_ABOVE: Final = 0.1
"""Share of the usable processors, or of an accelerator, that others may use unnoticed."""
LOOK_S: Final = 0.2
"""Time over which a look at the load extends."""
SHORTEST_S: Final = 0.1
"""Counters move in steps of 10 ms; over less than this they say nothing."""

_log = logging.getLogger("nas")


@final
@dataclass(frozen=True)
class Load:
    """Counters at one moment.

    Args:
        at: Moment, in seconds.
        total_s: Time for which processors worked, over all that count.
        own_s: Time that this process and its children had of it.
    """

    at: float
    total_s: float
    own_s: float


@final
class CpuLoad:
    """Reads how much of the processors others use.

    Args:
        proc: Where the kernel shows its counters.
        clock: Seconds since any moment.
    """

    def __init__(self, proc: Path = PROC, clock: Callable[[], float] = time.monotonic) -> None:
        self._proc = proc
        self._clock = clock
        self._ticks = os.sysconf("SC_CLK_TCK")

    def now(self) -> Load | None:
        """Return the counters, None on a system that has none."""
        try:
            text = (self._proc / "stat").read_text(encoding="ascii")
        except (OSError, UnicodeError):
            return None
        total = sum(_worked(line) for line in text.splitlines() if _counts(line))
        own = self._own_ticks()
        return Load(self._clock(), total / self._ticks, own / self._ticks)

    def others_since(self, before: Load | None) -> float | None:
        """Return the share of the processors that others used since; None if nobody can tell."""
        after = self.now()
        if before is None or after is None:
            return min(1.0, max(0.0, os.getloadavg()[0] - 1) / usable_cores())
        if after.at - before.at < SHORTEST_S:
            return None
        others = (after.total_s - before.total_s) - (after.own_s - before.own_s)
        return min(1.0, max(0.0, others / (after.at - before.at) / usable_cores()))

    def _own_ticks(self) -> int:
        """Return what this process, its children and theirs used, those that ended included."""
        used: dict[int, int] = {}
        children: dict[int, list[int]] = {}
        for folder in self._proc.iterdir():
            numbers = _process(folder) if folder.name.isdigit() else None
            if numbers is not None:
                pid = int(folder.name)
                used[pid] = sum(numbers[10:14])
                children.setdefault(numbers[0], []).append(pid)
        total, waiting = 0, [os.getpid()]
        while waiting:
            pid = waiting.pop()
            total += used.get(pid, 0)
            waiting.extend(children.get(pid, ()))
        return total


def _process(folder: Path) -> list[int] | None:
    """Return the numbers of a process from its parent's id on; None if it has ended."""
    try:
        text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        words = text.rpartition(")")[2].split()  # the name before may hold anything
        return [int(word) for word in words[1:15]]
    except (OSError, ValueError):
        return None


@final
class BusyWatch:
    """Says whether others use a device, and waits for them to be done.

    A wait in vain is not repeated before the device has been seen quiet: a machine that is always
    busy costs one wait, not one for each of many measurements.

    Args:
        device: A torch device, such as `cpu` or `cuda:0`.
        load: Reads the processors' counters.
        sleep: Waits for so many seconds.
        clock: Seconds since any moment.
    """

    def __init__(
        self,
        device: str,
        load: CpuLoad | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device = device
        self._load = load or CpuLoad()
        self._sleep = sleep
        self._clock = clock
        self._given_up = False

    def begin(self) -> Load | None:
        """Return the counters with which `others` compares."""
        return self._load.now()

    def others(self, since: Load | None) -> float:
        """Return the share of the processors that others used since; 0 where nobody can tell."""
        share = self._load.others_since(since)
        if share is not None and share <= BUSY_ABOVE:
            self._given_up = False
        return share or 0.0

    def look(self) -> float:
        """Look for a moment, in which this process rests, and return the share of others."""
        before = self._load.now()
        self._sleep(LOOK_S)
        shares = [self.others(before)]
        if self.device.startswith("cuda"):
            shares.append(cuda_utilisation(self.device) or 0.0)
        return max(shares)

    def wait(self, longest_s: float, seen: float) -> bool:
        """Wait until the device is quiet; return whether it is.

        Args:
            longest_s: Longest wait in seconds; 0 does not wait.
            seen: The share that others were seen to use, for the message.
        """
        if longest_s <= 0 or self._given_up:
            return False
        _log.warning(
            "%s is busy with something else (%.0f %% of it); waiting up to %g s before measuring",
            self.device,
            100 * seen,
            longest_s,
        )
        began = self._clock()
        quiet = self._becomes_quiet(began + longest_s)
        count_wait(self._clock() - began)  # what a measurement costs is its time without this
        if not quiet:
            self._given_up = True
            _log.warning(
                "%s is still busy; measuring anyway, what is measured is flagged", self.device
            )
        return quiet

    def _becomes_quiet(self, deadline: float) -> bool:
        while self._clock() < deadline:
            if self.look() <= BUSY_ABOVE:
                return True
        return False


@lru_cache(maxsize=16)
def busy_watch(device: str) -> BusyWatch:
    """Return this process's watch over a device."""
    return BusyWatch(device)


def cuda_utilisation(device: str) -> float | None:
    """Return the share of a CUDA device that is in use, None where its driver does not say."""
    import torch

    try:
        return torch.cuda.utilization(torch.device(device)) / 100
    except (ImportError, RuntimeError, OSError):  # no pynvml, or a driver that refuses
        return None


def _counts(line: str) -> bool:
    name = line.split(maxsplit=1)[0] if line else ""
    if not name.startswith("cpu") or name == "cpu":
        return False
    affinity = getattr(os, "sched_getaffinity", None)
    return affinity is None or int(name[3:]) in affinity(0)


def _worked(line: str) -> int:
    """Return the ticks of user, nice, system, interrupts and time stolen by other guests."""
    numbers = [int(word) for word in line.split()[1:9]]
    return sum(numbers) - numbers[3] - numbers[4]
