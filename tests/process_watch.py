"""Whether processes that a test started or had started still run.

A killed process ends when the system gets to it, which on a busy machine is some time after the
call that killed it has returned: tests wait for an end, they never look only once.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

PATIENCE_S = 30.0


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
