"""A run as one archive, for the way to another machine and back.

The archive holds regular files alone, and only such are taken out of one: no links, no devices, no
paths that lead elsewhere. A copy is unpacked aside, its log and weights are checked, then it has
its name at once. It takes the place of an older copy of the same run, and of nothing else: what
stands there must know nothing that the new one does not.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import stat
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, final

from nas.errors import EnvironmentFault, NasError, RunError
from nas.run_store import layout
from nas.run_store.atomic import is_real_folder, read_bytes, storage_fault, sync_folder, write_all
from nas.run_store.creation import move_into_place, prepare_root
from nas.run_store.lock import RunLock
from nas.run_store.run import Run

_LEFT_OUT: Final = frozenset({layout.LOCK, layout.LEASE, layout.STOP})
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,@+=-]{0,254}")
_DEEPEST: Final = 6
_MOST_FILES: Final = 1_000_000
_CHUNK: Final = 1 << 20


@final
@dataclass(frozen=True)
class Contents:
    """What a copy of a run holds.

    Args:
        files: Paths below the run's folder, the log first: what it refers to is then there.
        size: Bytes of all of them.
        left_out: Links and other things that are no plain files, which no copy has.
    """

    files: tuple[str, ...]
    size: int
    left_out: tuple[str, ...]


def contents_of(run: Path) -> Contents:
    """Return what a copy of a run would hold.

    Raises:
        NotFoundError: If there is no run; RunError if it is not whole.
    """
    layout.require_run(run)
    files: list[str] = []
    left_out: list[str] = []
    size = 0
    for name, found in _walk(run, PurePosixPath()):
        if found is None or not _fits(PurePosixPath(name)):
            left_out.append(name)
        elif name not in _LEFT_OUT:
            files.append(name)
            size += found
    files.sort(key=lambda name: (name != layout.LOG, name))
    return Contents(tuple(files), size, tuple(left_out))


def pack_run(run: Path, contents: Contents, out: BinaryIO) -> None:
    """Write a run as a compressed archive; the run may go on meanwhile.

    Args:
        run: Its folder.
        contents: From `contents_of`.
        out: Where to; only `write` is called.

    Raises:
        RunError: If a file is a link by now; EnvironmentFault if one cannot be read.
    """
    with (
        gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in contents.files:
            with suppress(FileNotFoundError):  # weights that a running search gave up
                _add(tar, run / name, name)


def put_copy(packed: BinaryIO, target: Path, limit: int | None = None) -> None:
    """Unpack an archive aside, check it, and give it the run's name.

    Args:
        packed: The archive, open for reading.
        target: Folder of the run. An older copy of the same run there is replaced.
        limit: Bytes that the files may have together; None takes what the disk has room for.

    Raises:
        RunError: If the archive holds more than plain files, is damaged, or if the run in its
            place is in use or went on by itself.
        EnvironmentFault: If the disk is full.
    """
    root = prepare_root(target.parent)
    free = shutil.disk_usage(root).free
    if limit is None:
        limit = free
    elif limit > free:
        raise EnvironmentFault(
            f"disk full: the run needs {limit:,} bytes, the disk has {free:,}.",
            where=str(root),
            fix="Free some space, or choose another folder: --runs DIR.",
        )
    aside = root / f"{layout.BUILDING_PREFIX}{target.name}-{os.getpid()}"
    try:
        aside.mkdir(mode=0o700)
        lock = RunLock(aside / layout.LOCK, target.name)
        try:
            _unpack(packed, aside, limit)
            _check_whole(aside)
            _swap(aside, target)
        finally:
            lock.release()
    except OSError as error:
        if isinstance(error, NasError):
            raise
        raise storage_fault(error, f"unpack the run {target.name}", target) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def knows_all_of(longer: Path, shorter: Path) -> bool:
    """Tell whether the log of one run begins with all whole records of another's."""
    known, asked = read_bytes(longer / layout.LOG), read_bytes(shorter / layout.LOG)
    return known.startswith(asked[: asked.rfind(b"\n") + 1])


def _walk(folder: Path, below: PurePosixPath) -> Iterator[tuple[str, int | None]]:
    """Yield files below a folder with their sizes; None for what is no plain file."""
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        name = below / entry.name
        if entry.name.startswith("."):
            continue  # in the making
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            yield from _walk(folder / entry.name, name)
        else:
            yield str(name), found.st_size if stat.S_ISREG(found.st_mode) else None


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        entry = tarfile.TarInfo(name)
        # A log that grows meanwhile is taken as long as it was at this moment.
        entry.size = os.fstat(descriptor).st_size
        entry.mode = 0o600
        tar.addfile(entry, file)


def _unpack(packed: BinaryIO, folder: Path, limit: int) -> None:
    seen: set[str] = set()
    try:
        with tarfile.open(fileobj=packed, mode="r:gz") as tar:
            for entry in tar:
                path = _checked(entry, seen)
                limit -= entry.size
                if limit < 0 or len(seen) > _MOST_FILES:
                    raise _foreign("it holds more than was announced")
                source = tar.extractfile(entry)
                assert source is not None
                _write(source, folder / path)
    except (tarfile.TarError, EOFError, ValueError) as error:
        if isinstance(error, NasError):
            raise
        raise _foreign(f"{type(error).__name__}: {error}") from error
    for place in sorted({(folder / name).parent for name in seen} | {folder}):
        sync_folder(place)


def _checked(entry: tarfile.TarInfo, seen: set[str]) -> PurePosixPath:
    path = PurePosixPath(entry.name)
    if not entry.isreg():
        raise _foreign(f"{entry.name!r} is no plain file")
    if not _fits(path) or str(path) in seen or str(path) in _LEFT_OUT:
        raise _foreign(f"{entry.name!r} is no path of a run")
    seen.add(str(path))
    return path


def _fits(path: PurePosixPath) -> bool:
    return 0 < len(path.parts) <= _DEEPEST and all(_PART.fullmatch(part) for part in path.parts)


def _write(source: BinaryIO | object, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        while chunk := source.read(_CHUNK):  # type: ignore[union-attr]
            write_all(descriptor, chunk)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_whole(folder: Path) -> None:
    """Check the log record by record, and weights against their names."""
    with Run.open(folder) as run:
        run.records()
    weights = folder / layout.WEIGHTS
    for path in sorted(weights.iterdir()) if is_real_folder(weights) else []:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != path.name.partition(".")[0]:
            raise _foreign(f"the weights {path.name} are damaged")


def _swap(aside: Path, target: Path) -> None:
    """Give the new copy its name; an older copy, whose owner must be gone, makes room."""
    if not os.path.lexists(target):
        (aside / layout.LOCK).unlink()
        (aside / layout.LEASE).unlink(missing_ok=True)
        move_into_place(aside, target)
        return
    layout.require_run(target)
    old = RunLock(target / layout.LOCK, target.name)
    try:
        if not knows_all_of(aside, target):
            raise RunError(
                f"Run '{target.name}' went on in two places, and the two differ.",
                where=str(target),
                why="Neither log is the beginning of the other, so neither may replace the other.",
                fix="Put the copy elsewhere: --runs DIR.",
            )
        grave = target.with_name(f"{layout.REPLACED_PREFIX}{target.name}")
        shutil.rmtree(grave, ignore_errors=True)
        (aside / layout.LOCK).unlink()
        (aside / layout.LEASE).unlink(missing_ok=True)
        target.rename(grave)
        move_into_place(aside, target)
        shutil.rmtree(grave, ignore_errors=True)
    finally:
        old.release()


def _foreign(why: str) -> RunError:
    return RunError(
        "The archive is no whole copy of a run.",
        why=why,
        fix="Bring it again; if that does not help, look at the run where it was searched.",
    )
