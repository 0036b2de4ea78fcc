"""Whether processes that a test started or had started still run, and what this one holds open.

A killed process ends when the system gets to it, which on a busy machine is some time after the
call that killed it has returned: tests wait for an end, they never look only once.
"""

from __future__ import annotations

import gc
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

PATIENCE_S = 30.0
OPEN_FILES = Path("/proc/self/fd")


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be collected does not."""
    if Path("/proc/self/stat").exists():
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    said = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state = said.stdout.strip()
    return bool(state) and not state.startswith("Z")


def all_end(pids: Iterable[int], patience_s: float = PATIENCE_S) -> bool:
    """Tell whether processes end in time."""
    deadline = time.monotonic() + patience_s
    left = list(pids)
    while left := [pid for pid in left if is_alive(pid)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def wait_until(true: Callable[[], object], patience_s: float = PATIENCE_S) -> float:
    """Wait until something holds; return how long that took, in seconds."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < patience_s, "it never came true"
        time.sleep(0.02)
    return time.monotonic() - began


def open_files() -> list[Path]:
    """Return the files that this process holds open; none where the system does not list them.

    What earlier tests left for the collector goes first, else it might go between two looks.
    """
    gc.collect()
    return list(OPEN_FILES.iterdir()) if OPEN_FILES.is_dir() else []
