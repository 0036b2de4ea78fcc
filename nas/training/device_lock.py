"""One device, many processes: training shares it and pauses while somebody measures alone on it.

A latency that is taken while a training runs on the same cores is worth nothing, whichever process
the training is in. So there is a lock per device, in files that all processes of a user see.
Training holds it shared and offers it between steps (`SharedTurn.pause`, about two microseconds);
measuring holds it exclusively. Two files make a turnstile: who measures closes the entrance first
and then waits for the room to empty, so that trainings that come and go never starve it. Trainings
wait at the entrance in the kernel, which lets them in as soon as it opens: each gets a step between
two measurements, however many processes measure. The kernel frees the locks of a process that dies.
Where there can be no lock files, a warning says so once and nobody waits.

Locks are advice among processes of this package; what else runs on the machine is for
`nas.objectives.busy` to notice. torch is loaded where a device is named, not for the locks.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import math
import os
import re
import stat
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from nas.errors import EnvironmentFault

if TYPE_CHECKING:
    import torch

PATIENCE_S: Final = 120.0
"""Longest wait for a holder that is alive and gives nothing up, such as a stopped process."""
_SHORT_PATIENCE_S: Final = 1.0
_PAUSE_S: Final = (0.0005, 0.01)
_BREATH_S: Final = 0.02
"""Pause between two measurements of one process, in which those who wait get in."""

_log = logging.getLogger("nas")
_own = threading.local()
_open_locks: weakref.WeakSet[DeviceLock] = weakref.WeakSet()
"""Weak: the locks of a thread go with it, and close their files then."""
_said: set[str] = set()
_fork_hook: list[bool] = []


@final
class DeviceLock:
    """This thread's side of the lock of one device; nested uses count as one.

    Args:
        name: Of the device, as files may be called; see `device_name`.
        folder: Where the lock files lie; None takes the user's own in the temporary folder.
        patience_s: Longest wait for others, in seconds.

    Raises:
        EnvironmentFault: If the folder is not there, not ours alone, or cannot hold locks.
    """

    def __init__(
        self, name: str, folder: Path | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        self._turnstile = self._room = -1
        self.name = name
        self.patience_s = patience_s
        self._folder = lock_folder() if folder is None else folder
        self._turnstile = _open_file(self._folder, f"{name}.turnstile")
        self._room = _open_file(self._folder, f"{name}.room")
        self._depth = 0
        self._measuring = False
        self._patience_left_s = patience_s
        self._measured_at = -math.inf
        _remember(self)

    @contextmanager
    def measuring(self) -> Iterator[bool]:
        """Hold the device alone; what this thread shares it for meanwhile rests.

        Yields:
            Whether it is alone: False after waiting in vain for somebody who does not let go.
        """
        if self._measuring:
            yield True
            return
        if self._depth:
            _unlock(self._room)
        try:
            alone = self._enter_alone()
            self._measuring = alone
            yield alone
        finally:
            self._measuring = False
            self._measured_at = time.monotonic()
            _unlock(self._room)
            _unlock(self._turnstile)
            if self._depth:
                self._enter_shared()

    @contextmanager
    def working(self) -> Iterator[SharedTurn]:
        """Share the device with others who work on it, while nobody measures."""
        if self._depth == 0 and not self._measuring:
            self._enter_shared()
        self._depth += 1
        try:
            yield SharedTurn(self)
        finally:
            self._depth -= 1
            if self._depth == 0 and not self._measuring:
                _unlock(self._room)

    def pause(self, settle: torch.device | None = None) -> float:
        """Let those measure who wait for it; return the seconds that took, usually 0.

        Args:
            settle: A device whose queued work is finished before it is left to others.
        """
        if self._measuring:
            return 0.0
        if _try(self._turnstile, fcntl.LOCK_SH):
            _unlock(self._turnstile)
            return 0.0
        if settle is not None and settle.type == "cuda":
            import torch

            torch.cuda.synchronize(settle)
        started = time.monotonic()
        _unlock(self._room)
        self._enter_shared()
        return time.monotonic() - started

    def _enter_shared(self) -> None:
        """Pass the turnstile, which somebody who measures keeps closed, into the room."""
        began = time.monotonic()
        deadline = began + self.patience_s
        with self._at_entrance(deadline) as passed:
            inside = _acquire(self._room, fcntl.LOCK_SH, deadline)
        count_wait(time.monotonic() - began)
        if not (passed and inside):
            _say_once(
                f"the device {self.name} is being measured for more than {self.patience_s:g} s; "
                "going on without waiting any longer"
            )

    @contextmanager
    def _at_entrance(self, deadline: float) -> Iterator[bool]:
        """Hold the turnstile open; yield whether that came about in time."""
        if _try(self._turnstile, fcntl.LOCK_SH):
            try:
                yield True
            finally:
                _unlock(self._turnstile)
            return
        # A thread of its own waits in the kernel, through a file of its own, so that giving up
        # leaves nothing behind that matters: it passes one day, and steps back at once.
        descriptor = _open_file(self._folder, f"{self.name}.turnstile")
        passed, done = threading.Event(), threading.Event()
        threading.Thread(
            target=_wait_in_kernel, args=(descriptor, passed, done), daemon=True
        ).start()
        try:
            yield passed.wait(max(0.0, deadline - time.monotonic()))
        finally:
            done.set()

    def _enter_alone(self) -> bool:
        began = time.monotonic()
        time.sleep(max(0.0, self._measured_at + _BREATH_S - time.monotonic()))
        deadline = time.monotonic() + min(self.patience_s, self._patience_left_s)
        closed = _acquire(self._turnstile, fcntl.LOCK_EX, deadline)
        alone = closed and _acquire(self._room, fcntl.LOCK_EX, deadline)
        count_wait(time.monotonic() - began)
        # Who was stuck for so long is so for the next measurement too.
        self._patience_left_s = self.patience_s if alone else _SHORT_PATIENCE_S
        if not alone:
            _say_once(
                f"somebody has worked on the device {self.name} for more than "
                f"{self.patience_s:g} s without a pause; measuring beside it"
            )
        return alone

    def close(self) -> None:
        """Close the files, which frees what this side holds; a second call does nothing."""
        turnstile, self._turnstile = self._turnstile, -1
        room, self._room = self._room, -1
        for descriptor in (turnstile, room):
            if descriptor >= 0:
                os.close(descriptor)

    def __del__(self) -> None:
        self.close()


@final
class SharedTurn:
    """Permission to work on a device, to be offered back between steps.

    Args:
        lock: Held shared; None where there is no lock.
        device: Where the work is queued.
    """

    def __init__(self, lock: DeviceLock | None, device: torch.device | None = None) -> None:
        self._lock = lock
        self._device = device

    def pause(self) -> float:
        """Let those measure who wait for it; return the seconds that took, usually 0."""
        return 0.0 if self._lock is None else self._lock.pause(self._device)


@contextmanager
def working_on(device: torch.device | str) -> Iterator[SharedTurn]:
    """Work on a device while nobody measures on it; the turn's `pause` belongs between steps."""
    import torch

    target = torch.device(device)
    lock = _lock_of(device_name(target))
    if lock is None:
        yield SharedTurn(None)
        return
    with lock.working():
        yield SharedTurn(lock, target)


@contextmanager
def measuring_on(device: torch.device | str) -> Iterator[bool]:
    """Have a device alone among the processes of this user.

    Yields:
        False if somebody known to work on it does not let go; True also where there are no locks.
    """
    import torch

    lock = _lock_of(device_name(torch.device(device)))
    if lock is None:
        yield True
        return
    with lock.measuring() as alone:
        yield alone


def device_name(device: torch.device) -> str:
    """Return what tells a device from others in every process, as a file name.

    Numbers of CUDA devices mean others where `CUDA_VISIBLE_DEVICES` differs; their ids do not.
    """
    if device.type != "cuda":
        return device.type
    import torch

    index = torch.cuda.current_device() if device.index is None else device.index
    known = getattr(torch.cuda.get_device_properties(index), "uuid", index)
    return re.sub(r"[^a-z0-9]+", "-", f"cuda-{known}".lower())


def lock_folder(parent: Path | None = None) -> Path:
    """Return the user's own folder of lock files; it is made if it is not there.

    Args:
        parent: Where it lies; None takes the temporary folder.

    Raises:
        EnvironmentFault: If it cannot be made, or belongs to or is open to somebody else.
    """
    folder = (parent or Path(tempfile.gettempdir())) / f"nas-device-locks-{os.getuid()}"
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise _no_locks(folder, error.strerror or str(error)) from error
    if not stat.S_ISDIR(found.st_mode):
        raise _no_locks(folder, "it is not a folder")
    if found.st_uid != os.getuid():
        raise _no_locks(folder, "it belongs to another user")
    if found.st_mode & 0o077:
        raise _no_locks(folder, f"others may enter it (mode {stat.S_IMODE(found.st_mode):04o})")
    return folder


def _open_file(folder: Path, name: str) -> int:
    """Open a lock file inside the folder itself, wherever its path may lead a moment later."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            descriptor = os.open(name, flags, 0o600, dir_fd=inside)
        finally:
            os.close(inside)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        except OSError:
            os.close(descriptor)
            raise
    except OSError as error:
        why = "is a link" if error.errno == errno.ELOOP else error.strerror
        raise _no_locks(folder, f"{name}: {why}") from error
    return descriptor


def _no_locks(folder: Path, why: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"There can be no device locks: {why}.",
        where=str(folder),
        why="Training pauses while latency is measured; processes agree on it by locks there.",
        fix="Make that folder yours alone (mode 0700), or point TMPDIR to a folder you can write.",
    )


def _lock_of(name: str) -> DeviceLock | None:
    """Return this thread's lock of a device; None, and a warning once, where there can be none."""
    locks: dict[str, DeviceLock] | None = getattr(_own, "locks", None)
    if locks is None or _own.process != os.getpid():
        locks = _own.locks = {}
        _own.process = os.getpid()
    if name not in locks:
        try:
            locks[name] = DeviceLock(name)
        except EnvironmentFault as fault:
            _say_once(f"{fault.what} ({fault.where}) Latencies may be taken while others train.")
            return None
    return locks[name]


def _acquire(descriptor: int, kind: int, deadline: float) -> bool:
    """Take a lock, asking again and again, as a wait in the kernel has no end."""
    pause, longest = _PAUSE_S
    while not _try(descriptor, kind):
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(2 * pause, longest)
    return True


def count_wait(seconds: float) -> None:
    """Add seconds in which this thread waited for a device."""
    _own.waited_s = waited_s() + seconds


def waited_s() -> float:
    """Return for how many seconds this thread has waited for devices so far.

    What a training or a measurement spends is its time without this.
    """
    return float(getattr(_own, "waited_s", 0.0))


def _wait_in_kernel(descriptor: int, passed: threading.Event, done: threading.Event) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        passed.set()
        done.wait()
        _unlock(descriptor)  # said aloud: a forked child may have the file open too
    finally:
        os.close(descriptor)


def _try(descriptor: int, kind: int) -> bool:
    if descriptor < 0:  # of a parent, closed in a forked child
        return True
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    if descriptor >= 0:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _say_once(words: str) -> None:
    if words not in _said:
        _said.add(words)
        _log.warning("%s", words)


def _remember(lock: DeviceLock) -> None:
    """Keep a forked child from holding a lock on after its parent was killed."""
    _open_locks.add(lock)
    if not _fork_hook:
        _fork_hook.append(True)
        os.register_at_fork(after_in_child=_close_inherited)


def _close_inherited() -> None:
    for lock in list(_open_locks):
        lock.close()
