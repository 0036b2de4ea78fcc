"""One owner per run: an advisory lock of the kernel on `<run>/lock`.

The kernel frees the lock when its owner dies, so there is no stale lock and no waiting time. The
text inside the file serves the message to the second comer, and notes how far the log goes. The
file is never deleted: deleting it would let two processes lock two files of one name. On a network
file system, where other machines have kernels of their own, a lease is held beside it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, final

from nas.errors import EnvironmentFault, RunError
from nas.run_store import faults, layout
from nas.run_store.atomic import not_a_regular_file, storage_fault
from nas.run_store.file_system import network_kind
from nas.run_store.lease import RunLease, read_lease
from nas.run_store.log_mark import WIDTH, LogMark, from_lock, to_note

# A viewer that asks who owns the run holds a shared lock for microseconds, and a child that was
# forked from an owner that was killed lets go as soon as it runs: both are waited out.
_PATIENCE_S: Final = 0.5
_PAUSE_S: Final = 0.01

_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

_logger = logging.getLogger("nas")
_warned: set[tuple[str, str]] = set()
_held: set[RunLock] = set()
_fork_hook: list[bool] = []


@dataclass(frozen=True)
class Owner:
    """The process that writes a run: its id, its machine, and when it took the run (UTC)."""

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"pid {self.pid} on host {self.host} since {self.since}"


@final
class RunLock:
    """The right to write a run, held from construction to `release`.

    Args:
        path: The file to lock; it is created if it is not there.
        run_name: Name of the run, for the message.
        take_over: Of a run on a network file system: take it from a process of another machine
            that is not heard of any more.

    Attributes:
        mark: How far the log was written, by this owner or by the one before.

    Raises:
        RunError: If another process, or another object of this one, owns the run.
        EnvironmentFault: If the file system cannot lock.
    """

    def __init__(self, path: Path, run_name: str, *, take_over: bool = False) -> None:
        self.path = path
        self._lease: RunLease | None = None
        self._descriptor: int | None = _open(path)
        network = network_kind(path)
        try:
            locked = _acquire(self._descriptor, path, run_name, leased=network is not None)
            faults.reach("lock_after_acquire")
            lease = path.with_name(layout.LEASE)
            if network is None:
                # One that came with a copy of the run from elsewhere says nothing here.
                lease.unlink(missing_ok=True)
            else:
                self._lease = RunLease(lease, take_over=take_over, kernel_decides=locked)
                _warn_once(run_name, network)
            self.mark = from_lock(_read_text(self._descriptor))
            self._signed = _sign(self._descriptor, self.mark)
        except BaseException:
            self.release()
            raise
        _close_in_forked_children(self)

    def moved(self, path: Path) -> None:
        """Say where the file is now: the run's folder was renamed."""
        self.path = path
        if self._lease is not None:
            self._lease.path = path.with_name(layout.LEASE)

    def check(self) -> None:
        """Check that the run is still held; the kernel sees to that where it alone decides.

        Raises:
            RunError: If a process of another machine took it over.
        """
        if self._lease is not None:
            self._lease.check()

    def expect_new_log(self, lost: str | None) -> None:
        """Note nothing while the log is written anew: its records will lie elsewhere in it.

        Args:
            lost: What the log has lost; that stays noted until the log itself says so.
        """
        if lost is None:
            self.note(None)

    def note(self, mark: LogMark | None) -> None:
        """Note how far the log is written now; None notes nothing."""
        self.mark = mark
        if self._descriptor is not None:
            with suppress(OSError):  # a disk that fails says so where facts are written
                os.pwrite(self._descriptor, to_note(mark), self._signed)

    def release(self) -> None:
        """Give the run free; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        _held.discard(self)
        if self._lease is not None:
            self._lease.release()
        if descriptor is not None:
            os.close(descriptor)


def owner_of(path: Path) -> Owner | None:
    """Return who holds the lock file `path`, or None when nobody does.

    Readers call this; it changes nothing on disk. A holder whose text cannot be read is reported
    with pid 0.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        held = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
        return _read_owner(descriptor) if held else _owner_elsewhere(path)
    else:
        return _owner_elsewhere(path)
    finally:
        os.close(descriptor)


def refuse_if_owned(path: Path, run_name: str) -> None:
    """Refuse a run that a living process of this machine owns, before anything slow is loaded.

    This spares waiting only: who goes on still has to take the lock.

    Args:
        path: The lock file.
        run_name: Name of the run, for the message.

    Raises:
        RunError: As `RunLock` does.
    """
    owner = owner_of(path)
    if owner is not None and owner.host == socket.gethostname() and _lives(owner):
        raise _in_use(owner, path, run_name)


def _owner_elsewhere(path: Path) -> Owner | None:
    """Return the process of another machine that holds a lease on a run, as far as it is known."""
    lease = path.with_name(layout.LEASE)
    if not lease.exists() or network_kind(path) is None:
        return None
    found = read_lease(lease)
    if found is None or not found.is_held():
        return None
    return Owner(found.pid, found.host, found.since)


def _warn_once(run_name: str, network: str) -> None:
    if (run_name, network) not in _warned:
        _warned.add((run_name, network))
        _logger.warning(
            "Run '%s' lies on a network file system (%s): a lease keeps other machines out, and "
            "what a power loss leaves depends on the server. A local disk promises more.",
            run_name,
            network,
        )


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise not_a_regular_file(path) from error
        raise storage_fault(error, "take the run's lock", path) from error


def _acquire(descriptor: int, path: Path, run_name: str, *, leased: bool) -> bool:
    """Take the kernel's lock; return False where a file system with a lease has no locks."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hopeless = not _is_being_looked_at(descriptor) and _lives(_read_owner(descriptor))
            if hopeless or time.monotonic() > deadline:
                raise _in_use(_read_owner(descriptor), path, run_name) from None
            time.sleep(_PAUSE_S)
        except OSError as error:
            if leased and error.errno in _NO_LOCKS:
                return False
            raise EnvironmentFault(
                f"The file system cannot lock ({error.strerror}).",
                where=str(path),
                why="A run is written by one process at a time, and the kernel watches over it.",
                fix="Keep runs on a local disk: --runs DIR.",
            ) from error
        else:
            return True


def _is_being_looked_at(descriptor: int) -> bool:
    """Tell whether only viewers hold the lock, who let go of it at once."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # Two that want to own the run must not keep each other out by looking.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


def _lives(owner: Owner) -> bool:
    """Tell whether a process is there; of one that died, a child just forked may hold the lock."""
    if owner.pid < 1:
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user, or no pid at all
        return True
    return True


def _in_use(owner: Owner, path: Path, run_name: str) -> RunError:
    return RunError(
        f"Run '{run_name}' is in use by {owner}.",
        where=str(path),
        why="One process at a time writes a run.",
        fix=f"Wait for it, stop it with `nas stop {layout.typed(path.parent)}`, or choose another "
        "--name. Reading needs no lock.",
    )


def _read_owner(descriptor: int) -> Owner:
    try:
        found = json.loads(_read_text(descriptor).partition(b"\n")[0])
        return Owner(int(found["pid"]), str(found["host"]), str(found["since"]))
    except (ValueError, KeyError, TypeError):
        return Owner(0, "unknown", "unknown")


def _read_text(descriptor: int) -> bytes:
    try:
        return os.pread(descriptor, 4096, 0)
    except OSError:
        return b""


def _sign(descriptor: int, mark: LogMark | None) -> int:
    """Write who owns the run, and the mark behind it; return where that begins."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps(asdict(Owner(os.getpid(), socket.gethostname(), since))) + "\n"
    # A full disk must not keep the owner out: the lock holds without its text.
    with suppress(OSError):
        os.pwrite(descriptor, text.encode() + to_note(mark), 0)
        os.ftruncate(descriptor, len(text) + WIDTH)
    return len(text)


def _close_in_forked_children(lock: RunLock) -> None:
    """Keep a forked child from holding the lock on after its parent was killed."""
    _held.add(lock)
    if not _fork_hook:
        _fork_hook.append(True)
        os.register_at_fork(after_in_child=_release_inherited)


def _release_inherited() -> None:
    for lock in list(_held):
        lock.release()
