"""A child process with everything it started, and how both are brought to an end.

The child leads a process group of its own. Its number is its own until it is reaped, so the group
is killed first and the child reaped after: the other way round the number might belong to somebody
else by then. A child that ended by itself leaves what it started behind; that ends the same way.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, final

_LOOK_S: Final = 0.01
_PATIENCE_S: Final = 10.0
"""Longest wait for a killed process; one that hangs in the kernel is left to it."""

PROCESSES: Final = Path("/proc")


@final
class ProcessGroup:
    """A child that was started in a session of its own.

    Args:
        process: The child; nobody else waits for it.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        """Number of the child, and of the group."""
        return self.process.pid

    @property
    def code(self) -> int | None:
        """How the child ended: its exit code, minus the signal, or None until it is reaped."""
        return self.process.returncode

    def has_ended(self) -> bool:
        """Tell whether the child has ended; it keeps its number."""
        if self.code is not None:
            return True
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self.process.poll() is not None
        with suppress(ChildProcessError):
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.pid, flags) is not None
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the child and all it started, unless they are gone."""
        if self.code is None:
            with suppress(OSError):
                os.killpg(self.pid, number)

    def kill(self) -> None:
        """Kill what is left of the group and reap the child."""
        if self.code is not None:
            return
        self.send(signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_PATIENCE_S)


def end_groups(groups: Sequence[ProcessGroup], grace_s: float = 0.0) -> None:
    """Ask the groups to end, all at once, and kill those that do not.

    Args:
        groups: What is to end.
        grace_s: How long they have, in seconds; 0 does not ask.
    """
    if grace_s:
        for group in groups:
            group.send(signal.SIGTERM)
        wait_for(groups, grace_s)
    for group in groups:
        group.kill()


def wait_for(groups: Iterable[ProcessGroup], patience_s: float) -> bool:
    """Wait until all children have ended; return whether they did in time."""
    deadline = time.monotonic() + patience_s
    for group in groups:
        while not group.has_ended():
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_S)
    return True


def peak_memory_mib(pid: int | str = "self", processes: Path = PROCESSES) -> float | None:
    """Return the most memory that a running process has held, in MiB; None where nobody says.

    Args:
        pid: The process.
        processes: Folder of processes as Linux shows it.
    """
    # Not from `wait4`: to that, what a parent held when it started a child counts as the child's.
    with suppress(OSError, ValueError, IndexError):
        for line in (processes / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    return None


def memory_kills(processes: Path = PROCESSES) -> int:
    """Return how many processes of this machine the system has killed for want of memory.

    Those that only exceeded the limit of a control group count too; 0 where nobody counts.

    Args:
        processes: Folder of processes as Linux shows it.
    """
    with suppress(OSError, ValueError, IndexError):
        for line in (processes / "vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
