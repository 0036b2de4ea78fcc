"""Forked children: what they run may be killed at any moment, and is waited for only so long."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

KILLED: Final = -signal.SIGKILL
ERRORS: Final = "errors.txt"
_LOOK_S: Final = 0.002


def start(work: Callable[[], None], folder: Path) -> int:
    """Fork; the child leads a session of its own, works, and exits with 0, or 1 after an error.

    Args:
        work: What the child does.
        folder: Where its last words go.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setsid()
        said = os.open(folder / ERRORS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(said, 1)
        os.dup2(said, 2)
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def fill_disk(pid: int, size: int) -> None:
    """Let no file of a child grow beyond so many bytes from now on."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def end(pid: int) -> int:
    """Kill a child that `start` gave and all of its session; return how it ended."""
    os.killpg(pid, signal.SIGKILL) if os.getpgid(pid) == pid else os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wait(pid: int, longest_s: float) -> int | None:
    """Return a child's exit status, or None if it still runs after so many seconds."""
    deadline = time.monotonic() + longest_s
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_LOOK_S)
    return None


def run(work: Callable[[], None], folder: Path, longest_s: float = 120.0) -> int | None:
    """Work in a child to its end; return its exit status, None if it had to be ended."""
    pid = start(work, folder)
    status = wait(pid, longest_s)
    if status is None:
        end(pid)
    return status
