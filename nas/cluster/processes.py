"""Which processes are ours: a process is its id and the moment it began.

The operating system gives ids out again, so an id alone may by now name somebody else's process.
Nothing here is ended by name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

_PROC: Final = Path("/proc")
_POLL_S: Final = 0.05
# Fields of /proc/PID/stat behind the command's closing bracket, see proc(5).
_STATE, _PARENT, _STARTED = 0, 1, 19


@final
@dataclass(frozen=True)
class Process:
    """One process, recognised again.

    Args:
        pid: Its id.
        started: When it began, as the system says it: text to be compared, not to be read.
    """

    pid: int
    started: str

    def is_alive(self) -> bool:
        """Tell whether it still runs; a dead one that nobody collected does not."""
        return processes().get(self.pid, (None, 0))[0] == self

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone or its id is somebody else's."""
        if self.is_alive():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)


def process(pid: int) -> Process | None:
    """Return the living process of an id."""
    found = processes().get(pid)
    return None if found is None else found[0]


def descendants(pid: int) -> list[Process]:
    """Return the living processes that one started, directly or through others."""
    known = processes()
    children: dict[int, list[int]] = {}
    for child, (_, parent) in known.items():
        children.setdefault(parent, []).append(child)
    found: list[Process] = []
    pending = list(children.get(pid, []))
    while pending:
        child = pending.pop()
        found.append(known[child][0])
        pending.extend(children.get(child, []))
    return found


def end(those: Iterable[Process], grace_s: float) -> list[Process]:
    """End processes: SIGTERM, and after a grace time SIGKILL. Return those that would not go."""
    left = list(those)
    for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        for each in left:
            each.send(number)
        left = _wait(left, patience_s)
    return left


def _wait(those: list[Process], patience_s: float) -> list[Process]:
    deadline = time.monotonic() + patience_s
    while True:
        known = processes()
        left = [each for each in those if known.get(each.pid, (None, 0))[0] == each]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_POLL_S)


def processes() -> dict[int, tuple[Process, int]]:
    """Return every living process of this machine with its parent, by id."""
    return _from_proc() if (_PROC / "self" / "stat").exists() else _from_ps()


def _from_proc() -> dict[int, tuple[Process, int]]:
    found = {}
    for entry in os.scandir(_PROC):
        if entry.name.isdecimal():
            with suppress(OSError, IndexError, ValueError):
                text = Path(entry.path, "stat").read_text(errors="replace")
                fields = text.rpartition(")")[2].split()
                if fields[_STATE] not in "ZX":
                    pid = int(entry.name)
                    found[pid] = Process(pid, fields[_STARTED]), int(fields[_PARENT])
    return found


def _from_ps() -> dict[int, tuple[Process, int]]:
    """Ask `ps`, where there is no /proc (macOS)."""
    done = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,state=,lstart="],  # noqa: S607 - the system's own
        capture_output=True,
        text=True,
        check=True,
    )
    found = {}
    for line in done.stdout.splitlines():
        pid, parent, state, started = line.split(None, 3)
        if not state.startswith("Z"):
            found[int(pid)] = Process(int(pid), started.strip()), int(parent)
    return found
