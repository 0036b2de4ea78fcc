"""A task that does to its worker whatever its payload says. It imports little, to start fast."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
IDLE = "import time; time.sleep(600)"


def fault_task(arguments: dict[str, Any]) -> Any:
    """Return the task; `folder` is where it leaves the numbers of processes."""
    folder = Path(arguments["folder"])

    def task(payload: dict[str, Any]) -> dict[str, Any]:
        fault = payload.get("fault")
        if fault is not None:
            FAULTS[fault](folder)
        return {"process": os.getpid()}

    return task


def _note(folder: Path, process: int) -> None:
    with (folder / "processes").open("a") as file:
        file.write(f"{process}\n")


def _start_child(folder: Path, code: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-S", "-c", code])
    _note(folder, child.pid)
    return child


def _abort(folder: Path) -> None:
    _note(folder, os.getpid())
    os.abort()


def _abort_beside_a_fork(folder: Path) -> None:
    """Die while a forked child, as loaders of data have, holds the way to the driver open."""
    if os.fork() == 0:
        _note(folder, os.getpid())
        time.sleep(600)
    while not (folder / "processes").exists():
        time.sleep(0.01)
    os.abort()


def _spin(folder: Path) -> NoReturn:
    _note(folder, os.getpid())
    while True:
        pass


def _spin_stubbornly(folder: Path) -> NoReturn:
    """Hang together with a child, neither of which listens to SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    _start_child(folder, STUBBORN)
    _spin(folder)


def _lose_a_child(folder: Path) -> None:
    """Depend on a child that is killed."""
    child = _start_child(folder, IDLE)
    os.kill(child.pid, signal.SIGKILL)
    if child.wait() != 0:
        raise RuntimeError(f"a loader of data ended with {child.returncode}")


def _leave_a_child(folder: Path) -> None:
    _start_child(folder, STUBBORN)


def _hunger(folder: Path) -> NoReturn:
    held = []
    while True:
        held.append(bytearray(2**26))


def _lose_the_device_once(folder: Path) -> None:
    told = folder / "lost"
    if not told.exists():
        told.touch()
        raise RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be")


def _hold_the_interpreter(folder: Path) -> None:
    """Sleep inside a library, so that no thread of Python runs, beside a stubborn child."""
    _start_child(folder, STUBBORN)
    _note(folder, os.getpid())
    ctypes.PyDLL(None).sleep(600)


FAULTS = {
    "abort": _abort,
    "abort beside a fork": _abort_beside_a_fork,
    "spin": _spin,
    "spin stubbornly": _spin_stubbornly,
    "lose a child": _lose_a_child,
    "leave a child": _leave_a_child,
    "hold the interpreter": _hold_the_interpreter,
    "hunger": _hunger,
    "lose the device once": _lose_the_device_once,
}
