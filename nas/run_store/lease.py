"""A lease on a run that lies on a network file system, where another machine may hold it.

The owner counts up a number in the file `lease` every few seconds. Who finds the lease of another
machine is refused at once; who says that the other one is gone (`--take-over`) watches the number
with a clock of its own that only goes forward, and takes the run when the number stands still. No
time of day is compared, so clocks may differ and jump. Each taking draws a token, and the owner
looks for its own before every record: a process that was stopped, and another took its run
meanwhile, can append nothing when it goes on.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, final

from nas.errors import NasError, RunError
from nas.run_store import faults, layout
from nas.run_store.atomic import read_bytes, write_json

RENEW_S: Final = 10.0
"""Between two renewals of a lease."""
PATIENCE_S: Final = 45.0
"""For so long the number of a lease must stand still before it is taken over."""
SETTLE_S: Final = 0.3
"""After so long an owner looks whether another machine took the run in the same moment."""
_POLL_S: Final = 0.25


@final
@dataclass(frozen=True)
class Lease:
    """What the file says.

    Args:
        host: Name of the owner's machine.
        boot: What tells this start of that machine from every other.
        pid: The owner's process.
        since: When it took the run, UTC; a label.
        token: Drawn by each taking.
        fence: Number of the taking, from 1.
        counter: Renewals so far.
        released: Whether the owner gave the run free.
    """

    host: str
    boot: str
    pid: int
    since: str
    token: str
    fence: int
    counter: int = 0
    released: bool = False

    @property
    def holder(self) -> str:
        """The owner in words."""
        return f"pid {self.pid} on host {self.host} since {self.since}"

    def is_held(self, *, kernel_decides: bool = True) -> bool:
        """Tell whether a process that the kernel does not know of may own the run."""
        return not self.released and not (kernel_decides and self.boot == boot_id())


_UNREADABLE: Final = Lease("unknown", "unknown", 0, "unknown", "", 0)


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return what tells this start of this machine from all others."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{socket.gethostname()} without a boot id"


def read_lease(path: Path) -> Lease | None:
    """Return the lease in a file; None where there is none, and one of nobody if it is damaged."""
    try:
        found = json.loads(read_bytes(path))
        return Lease(
            host=str(found["host"]),
            boot=str(found["boot"]),
            pid=int(found["pid"]),
            since=str(found["since"]),
            token=str(found["token"]),
            fence=int(found["fence"]),
            counter=int(found["counter"]),
            released=found["released"] is True,
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, NasError):
        return _UNREADABLE


@final
class RunLease:
    """The lease of a run, held and renewed from construction to `release`.

    Args:
        path: The lease file.
        take_over: Wait whether the lease of another machine is renewed, and take it if not.
        kernel_decides: Whether the kernel's lock is held, too. Then a lease of this machine is of
            a process that is dead; else nobody knows.

    Raises:
        RunError: If a process of another machine holds the run.
        EnvironmentFault: If the file cannot be written.
    """

    def __init__(self, path: Path, *, take_over: bool = False, kernel_decides: bool = True) -> None:
        self.path = path
        found = read_lease(path)
        if found is not None and found.is_held(kernel_decides=kernel_decides):
            if not take_over:
                raise _held(path, found)
            found = _outwait(path, found)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self.lease = Lease(
            host=socket.gethostname(),
            boot=boot_id(),
            pid=os.getpid(),
            since=since,
            token=secrets.token_hex(8),
            fence=found.fence + 1 if found else 1,
        )
        self._mutex = threading.Lock()
        self._write(self.lease)
        time.sleep(SETTLE_S)
        self.check()
        self._over = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="nas-lease", daemon=True)
        self._renewer.start()

    def check(self) -> None:
        """Check that no other process has taken the run.

        Raises:
            RunError: If one has.
        """
        found = read_lease(self.path)
        if found is None or found.token != self.lease.token:
            by = found.holder if found else "somebody who removed the lease"
            raise RunError(
                f"Run '{self.path.parent.name}' was taken over by {by}.",
                where=str(self.path),
                why="This process was not heard of for too long; two must not write one run.",
                fix="Nothing more is written here. Look at the run there.",
            )

    def release(self) -> None:
        """Give the run free, unless another process has it by now or this is a forked child."""
        if os.getpid() != self.lease.pid or self._over.is_set():
            return
        self._over.set()
        with suppress(NasError), self._mutex:
            self.check()
            self._write(replace(self.lease, released=True))

    def _renew(self) -> None:
        while not self._over.wait(RENEW_S):
            # A renewal that fails is tried again; whether the run is still ours, `check` tells.
            with suppress(NasError), self._mutex:
                if not self._over.is_set():
                    self.check()
                    self.lease = replace(self.lease, counter=self.lease.counter + 1)
                    self._write(self.lease)

    def _write(self, lease: Lease) -> None:
        faults.reach("lease_before_write")
        write_json(self.path, asdict(lease))
        faults.reach("lease_after_write")


def _held(path: Path, found: Lease) -> RunError:
    run = path.parent
    return RunError(
        f"Run '{run.name}' is in use by {found.holder}, as its lease says.",
        where=str(path),
        why="One process at a time writes a run, and from here nobody sees whether that one lives.",
        fix=f"Wait for it. If it is gone for good: nas resume {layout.typed(run)} --take-over. "
        "Reading needs no lock.",
    )


def _outwait(path: Path, found: Lease) -> Lease | None:
    """Return the lease that stood still for `PATIENCE_S`.

    Raises:
        RunError: If it was renewed meanwhile.
    """
    begin = time.monotonic()
    while time.monotonic() - begin < PATIENCE_S:
        time.sleep(min(_POLL_S, PATIENCE_S))
        now = read_lease(path)
        if now is None or now.released:
            return now
        if (now.token, now.counter) != (found.token, found.counter):
            raise RunError(
                f"Run '{path.parent.name}' is alive: {now.holder} renewed its lease just now.",
                where=str(path),
                why="A run is taken over from a process that is gone, never from one that works.",
                fix=f"Stop it with `nas stop {layout.typed(path.parent)}`, or wait for it.",
            )
    return found
