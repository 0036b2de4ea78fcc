"""Run a function in a forked child that may be killed, and say how the child ended."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable

from nas.run_store import faults

KILLED = -signal.SIGKILL


def start_child(function: Callable[[], None]) -> int:
    """Fork; the child runs `function` and exits with 0, or 1 after an error. Return its pid."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        function()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def wait_for(pid: int) -> int:
    """Return the child's exit status; negative is the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def in_child(
    function: Callable[[], None], *, fault: str | None = None, largest_file: int | None = None
) -> int:
    """Run `function` in a child with a fault armed or with files limited to so many bytes."""

    def prepared() -> None:
        os.environ.pop(faults.VARIABLE, None)
        faults.forget_passes()
        if fault is not None:
            os.environ[faults.VARIABLE] = fault
        if largest_file is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, hard))
        function()

    return wait_for(start_child(prepared))
