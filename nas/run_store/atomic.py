"""Files that exist whole or not at all, and reads that never leave the run folder.

Every file of a run except its log goes through `write_bytes`: temporary file in the same folder,
fsync, rename, fsync of the folder. Only files that follow from the log, one per trial, do without
the two fsyncs. A symbolic link planted in a run folder is replaced or refused, never followed.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, final

from nas.errors import EnvironmentFault, RunError
from nas.run_store import faults

TEMPORARY_PREFIX: Final = ".tmp-"
PROBE_PREFIX: Final = ".tmp-probe-"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOST: Final = (errno.EIO, errno.ENOENT, errno.ESTALE, errno.EROFS, errno.ENODEV, errno.ENXIO)
_REMEDY: Final = "Check that the folder exists, is on a healthy disk and may be written by you."
_REMEDIES: Final = {
    errno.EROFS: "The disk is mounted for reading only, which systems also do after an error: have "
    "it checked, or keep runs elsewhere with --runs DIR.",
    errno.EIO: "The disk is failing: copy the run to another one, then look with `nas doctor RUN`.",
    errno.ENOENT: "The folder was deleted or unmounted: bring it back, or copy the run there.",
    errno.ENAMETOOLONG: "Choose a folder of runs with a shorter path: --runs DIR.",
}
_PROBE_BYTES: Final = 65536
_serial = itertools.count()


@final
class StorageLost(EnvironmentFault):
    """The disk below a run fails or is gone, so that waiting and freeing space do not help."""


def storage_fault(
    error: OSError, action: str, path: Path, *, needed: int | None = None
) -> EnvironmentFault:
    """Turn an `OSError` of the operating system into the error a user can act on.

    Args:
        error: What the system said.
        action: What was tried, as in "cannot ...".
        path: The file or folder it was tried on.
        needed: Bytes that were to be written, where that is known.
    """
    if error.errno in _FULL:
        return EnvironmentFault(
            f"{_shortage(error, path)}: cannot {action} ({_room(error, path, needed)}).",
            where=str(path),
            why="What was acknowledged before is kept.",
            fix="Free some space, then go on with `nas resume RUN`.",
        )
    kind = StorageLost if error.errno in _LOST else EnvironmentFault
    return kind(
        f"Cannot {action}: {error.strerror or error}.",
        where=str(path),
        fix=_REMEDIES.get(error.errno or 0, _REMEDY),
    )


def _shortage(error: OSError, path: Path) -> str:
    if error.errno == errno.EDQUOT:
        return "quota used up"
    return "no inodes left" if _free(path)[1] == 0 else "disk full"


def _room(error: OSError, path: Path, needed: int | None) -> str:
    free, files = _free(path)
    text = os.strerror(error.errno or 0)
    if files == 0:
        return f"{text}: the file system has no room for another file, however small"
    if needed is not None:
        text += f": {needed} bytes needed"
    return text if free is None else f"{text}, {free} bytes free"


def _free(path: Path) -> tuple[int | None, int | None]:
    """Return free bytes and free inodes where `path` is; None where the system does not say."""
    try:
        status = os.statvfs(path if path.is_dir() else path.parent)
    except OSError:
        return None, None
    # A file system without a table of inodes says that it has none at all.
    return status.f_bavail * status.f_frsize, status.f_favail if status.f_files else None


def write_bytes(path: Path, data: bytes, *, synced: bool = True) -> None:
    """Replace the content of `path` by `data`, whole or not at all, and durably.

    Args:
        path: The file.
        data: Its new content.
        synced: Whether to wait until the disk has it. Otherwise a kill leaves the file whole too,
            but a power loss may leave it empty, torn or missing.

    Raises:
        EnvironmentFault: If the disk is full or the folder cannot be written; the old content,
            if any, is kept.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{next(_serial)}-{path.name[:64]}")
    try:
        try:
            _write_new(temporary, data, synced=synced)
            faults.reach("atomic_before_rename")
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        faults.reach("atomic_after_rename")
        if synced:
            sync_folder(path.parent)
            faults.reach("atomic_after_sync")
    except OSError as error:
        raise storage_fault(error, f"write {path.name}", path, needed=len(data)) from error


def write_text(path: Path, text: str) -> None:
    """Like `write_bytes`, for text in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Like `write_bytes`, for one JSON document with sorted keys; NaN and infinity are refused."""
    text = json.dumps(value, allow_nan=False, sort_keys=True, indent=2, ensure_ascii=False)
    write_text(path, text + "\n")


def _write_new(path: Path, data: bytes, *, synced: bool = True) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        faults.reach("atomic_before_write")
        half = len(data) // 2 if faults.is_armed("atomic_mid_write") else 0
        write_all(descriptor, data[:half])
        faults.reach("atomic_mid_write")
        write_all(descriptor, data[half:])
        if synced:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte of `data`, in as many calls as the system needs."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make sure that `folder` is a real folder of mode 0700, not a link to one.

    Raises:
        RunError: If something else has its name.
        EnvironmentFault: If it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700)
        sync_folder(folder.parent)
    except FileExistsError:
        if not is_real_folder(folder):
            raise RunError(
                f"'{folder.name}' is not a folder; a run keeps a real folder there, no link.",
                where=str(folder),
                fix="Look at what it is and remove it by hand.",
            ) from None
    except OSError as error:
        raise storage_fault(error, f"make the folder {folder.name}", folder) from error


def read_bytes(path: Path, *, offset: int = 0) -> bytes:
    """Return the content of a regular file from `offset` on, never that of a link's target.

    Raises:
        FileNotFoundError: If there is no such file.
        RunError: If it is a link, a folder or a pipe.
        EnvironmentFault: If it cannot be read.
    """
    try:
        # Non-blocking: opening a pipe that somebody planted must not hang.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise not_a_regular_file(path) from error
        raise storage_fault(error, f"read {path.name}", path) from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise not_a_regular_file(path)
        file.seek(offset)
        return file.read()


def not_a_regular_file(path: Path) -> RunError:
    """Build the error for a link, folder or pipe where a run keeps a file."""
    return RunError(
        f"'{path.name}' is not a regular file; nothing in a run folder may be a link or a pipe.",
        where=str(path),
        fix="Look at what it is and remove it by hand.",
    )


def read_only(folder: Path) -> RunError:
    """Build the error for a write to a run that was opened for reading."""
    return RunError(
        f"Run '{folder.name}' was opened for reading.",
        where=str(folder),
        why="Only the owner of a run writes it.",
        fix="Use Run.open(path, write=True).",
    )


def stray_temporaries(folder: Path) -> Iterator[Path]:
    """Yield the temporary files that a killed process left in `folder` and one level below."""
    for place in (folder, *sorted(child for child in folder.iterdir() if is_real_folder(child))):
        yield from sorted(place.glob(f"{TEMPORARY_PREFIX}*"))


def is_real_folder(path: Path) -> bool:
    """Tell whether `path` is a folder and not a link to one."""
    return path.is_dir() and not path.is_symlink()


def remove_stray_temporaries(folder: Path) -> list[Path]:
    """Delete what `stray_temporaries` finds; only the owner of the run may call this."""
    removed = [path for path in stray_temporaries(folder) if not is_real_folder(path)]
    for path in removed:
        path.unlink(missing_ok=True)
    return removed


def probe_writable(folder: Path) -> None:
    """Find out before any computing whether `folder` can be written.

    Raises:
        EnvironmentFault: If it is read-only, full, or not there.
    """
    probe = folder / f"{PROBE_PREFIX}{os.getpid()}-{next(_serial)}"
    try:
        try:
            _write_new(probe, bytes(_PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        action = f"write to the folder {folder.name}"
        raise storage_fault(error, action, folder, needed=_PROBE_BYTES) from error
