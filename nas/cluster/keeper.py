"""The process that keeps a local head: `python -m nas.cluster.keeper FOLDER COMMAND...`.

Everything the head starts stays below it, also what Ray detaches, because on Linux orphans are
given to it. So it can end all of it, and nothing else, when it is told to (SIGTERM) or when the
head ends by itself. What runs below it is written down every few seconds, for the case that it is
itself killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final

from nas.cluster.processes import descendants, end
from nas.run_store.atomic import write_json

PROCESSES: Final = "processes.json"
HEAD_LOG: Final = "head.log"

_POLL_S: Final = 0.2
_WRITE_EVERY_S: Final = 3.0
_GRACE_S: Final = 3.0
_ROUNDS: Final = 5
_PR_SET_CHILD_SUBREAPER: Final = 36  # prctl(2)


def keep(folder: Path, command: list[str]) -> int:
    """Run a command until it ends or this process is told to end; then end what it left.

    Args:
        folder: Where its output and the list of processes go.
        command: What to run.

    Returns:
        0, or 1 if something below would not go.
    """
    told: list[int] = []

    def tell(number: int, frame: FrameType | None) -> None:
        told.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, tell)
    _adopt_orphans()
    with (folder / HEAD_LOG).open("ab") as log:
        head = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    _watch(folder, head.pid, told)
    return _end_all()


def _watch(folder: Path, head: int, told: list[int]) -> None:
    """Return when the head is gone, or a signal came."""
    written = -_WRITE_EVERY_S
    while not told and head not in _collect():
        now = time.monotonic()
        if now - written >= _WRITE_EVERY_S:
            written = now
            below = [[each.pid, each.started] for each in descendants(os.getpid())]
            with suppress(OSError):
                write_json(folder / PROCESSES, below)
        time.sleep(_POLL_S)


def _collect() -> set[int]:
    """Collect children that ended, adopted ones too, and return their ids."""
    ended: set[int] = set()
    with suppress(ChildProcessError):
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            ended.add(pid)
    return ended


def _end_all() -> int:
    """End everything below, also what starts meanwhile."""
    for _ in range(_ROUNDS):
        below = descendants(os.getpid())
        if not below:
            return 0
        end(below, _GRACE_S)
        _collect()
    return 1


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def read_processes(folder: Path) -> list[tuple[int, str]]:
    """Return ids and starts of what last ran below a keeper; empty if it did not say."""
    try:
        found = json.loads((folder / PROCESSES).read_bytes())
        return [(int(pid), str(started)) for pid, started in found]
    except (OSError, ValueError, TypeError):
        return []


if __name__ == "__main__":
    sys.exit(keep(Path(sys.argv[1]), sys.argv[2:]))
