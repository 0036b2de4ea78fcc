"""The append-only log of a run: one write per record, flushed to disk before it is acknowledged.

What `Log.append` returned survives `kill -9` and a power loss; what it did not return leaves no
trace, or a torn last line that the next owner moves to `quarantine/`. Readers take no lock and
overlook a half-written last line. A bad line before the end is never skipped: it stops everything
until `nas doctor RUN --repair` has named what is lost.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import threading
from pathlib import Path
from typing import final

from nas.errors import RunError
from nas.run_store import faults
from nas.run_store.atomic import (
    StorageLost,
    make_folder,
    not_a_regular_file,
    read_bytes,
    storage_fault,
    write_bytes,
)
from nas.run_store.layout import QUARANTINE, typed
from nas.run_store.log_mark import LogMark
from nas.run_store.records import BadRecord, Record, Scan, encode, scan

_logger = logging.getLogger("nas")


@final
class Log:
    """The log of a run, open for appending by the run's owner.

    Args:
        path: The log file, verified and without a torn end; see `Log.open`.
        end: Its length in bytes.
        seq: Number of records in it.
        mark: Which record is the last one.

    Attributes:
        mark: Which record is the last one, None without any.
    """

    def __init__(self, path: Path, *, end: int, seq: int, mark: LogMark | None) -> None:
        self.path = path
        self.mark = mark
        self._end = end
        self._seq = seq
        self._fault: str | None = None
        self._mutex = threading.Lock()
        self._descriptor: int | None = _open_for_append(path)

    @classmethod
    def open(cls, path: Path, *, is_short: bool = False) -> tuple[Log, tuple[Record, ...]]:
        """Verify every record, and return the log with the records in it.

        A torn last line is moved to `quarantine/` beside the log, with one warning. The caller
        holds the run's lock.

        Args:
            path: The log file.
            is_short: Whether acknowledged records are known to be missing at its end.

        Raises:
            RunError: If the log is missing, or a record before the end is damaged.
            EnvironmentFault: If the file cannot be read or cut.
        """
        contents = read_log(path)
        if contents.torn:
            _cut(path, contents, is_short)
        log = cls(path, end=contents.end, seq=len(contents.records), mark=contents.mark)
        return log, contents.records

    def append(self, record: Record) -> int:
        """Write `record`, wait until it is on disk, and return its number.

        Raises:
            RunError: If the record is not plain JSON, the log is closed, or another program
                wrote to it.
            EnvironmentFault: If the disk is full or failing; the log is as it was before.
        """
        with self._mutex:
            line = encode(self._seq, record)
            descriptor = self._check_open()
            self._check_untouched(descriptor)
            try:
                faults.reach("before_append")
                self._write(descriptor, line)
            except OSError as error:
                self._roll_back(descriptor)
                raise storage_fault(
                    error, f"append record {self._seq}", self.path, needed=len(line)
                ) from error
            except BaseException:
                # Ctrl-C between write and flush: not acknowledged, so it must not be there.
                self._roll_back(descriptor)
                raise
            self._seq += 1
            self.mark = LogMark(self._seq, self._end, line[:8].decode("ascii"))
            self._end += len(line)
            return self._seq - 1

    def close(self) -> int:
        """Close the file, a second time without effect; return its length in bytes."""
        with self._mutex:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)
            return self._end

    def __len__(self) -> int:
        return self._seq

    def _write(self, descriptor: int, line: bytes) -> None:
        if faults.is_armed("mid_append"):
            os.write(descriptor, line[: len(line) // 2])
            faults.reach("mid_append")
            line = line[len(line) // 2 :]
        written = os.write(descriptor, line)
        if written != len(line):
            # The rest tells why it was short: a full disk answers with its own error.
            os.write(descriptor, line[written:])
            raise OSError(f"only {written} of {len(line)} bytes were written")
        faults.reach("after_append")
        os.fsync(descriptor)
        faults.reach("after_fsync")

    def _roll_back(self, descriptor: int) -> None:
        try:
            os.ftruncate(descriptor, self._end)
            os.fsync(descriptor)
        except OSError as error:
            self._fault = f"an unfinished record could not be taken back ({error.strerror})"

    def _check_open(self) -> int:
        if self._descriptor is None or self._fault:
            raise RunError(
                f"The log cannot be written: {self._fault or 'it is closed'}.",
                where=str(self.path),
                fix="Open the run again; what was acknowledged is kept.",
            )
        return self._descriptor

    def _check_untouched(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if status.st_nlink == 0:
            raise StorageLost(
                "The log was deleted while the run was going on.",
                where=str(self.path),
                fix="Stop the search: nothing more can be kept here.",
            )
        if status.st_size != self._end:
            raise RunError(
                f"The log has {status.st_size} bytes, its owner wrote {self._end}: "
                "another program changed it.",
                where=str(self.path),
                fix=f"Stop the search and look with `nas doctor {typed(self.path.parent)}`.",
            )


def read_log(path: Path, *, offset: int = 0, seq: int = 0) -> Scan:
    """Read the log without a lock and without touching it.

    A half-written last line is left out and returned as `torn`. To follow a growing log, pass
    `offset=previous.end` and `seq` as the number of records read so far.

    Raises:
        RunError: If the log is missing, or a record before the end is damaged.
    """
    contents = scan_log(path, offset=offset, seq=seq)
    if contents.bad is not None:
        raise damaged(path, contents.bad)
    return contents


def scan_log(path: Path, *, offset: int = 0, seq: int = 0) -> Scan:
    """Like `read_log`, but return damage instead of raising it."""
    try:
        data = read_bytes(path, offset=offset)
    except FileNotFoundError as error:
        raise RunError(
            f"'{path.name}' is missing, so the folder is not a whole run.",
            where=str(path),
            why="The log is the one truth of a run; every other file can be made from it.",
            fix="Copy the folder again, completely, or remove it.",
        ) from error
    return scan(data, offset=offset, seq=seq)


def holds_a_line(path: Path) -> bool:
    """Tell whether the log holds a whole line, sound or not; only the first one is read.

    The caller holds the run's lock.

    Raises:
        EnvironmentFault: If the file cannot be opened for writing.
    """
    with os.fdopen(_open_for_append(path), "rb") as log:
        return log.readline().endswith(b"\n")


def damaged(path: Path, bad: BadRecord) -> RunError:
    """Build the error for a bad line before the end of the log."""
    return RunError(
        f"Record {bad.number} of {path.name} at byte {bad.offset} is damaged: {bad.reason}.",
        where=str(path),
        why="A record is never skipped silently: it may hold a result.",
        fix=f"Run `nas doctor {typed(path.parent)} --repair`: it moves the damaged bytes to "
        f"{QUARANTINE}/, keeps every whole record, and names what is lost.",
    )


def quarantine(run_folder: Path, label: str, data: bytes) -> Path:
    """Keep `data` under `<run>/quarantine/`, named by `label` and content; return its path."""
    folder = run_folder / QUARANTINE
    make_folder(folder)
    target = folder / f"{label}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    write_bytes(target, data)
    return target


def _cut(path: Path, contents: Scan, is_short: bool) -> None:
    kept = quarantine(path.parent, f"torn-{contents.end}", contents.torn)
    faults.reach("torn_before_cut")
    try:
        descriptor = _open_for_append(path)
        try:
            os.ftruncate(descriptor, contents.end)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_fault(error, "cut the torn end of the log", path) from error
    _logger.warning(
        "Run '%s': the last write was torn; its %d bytes were moved to %s/%s.%s",
        path.parent.name,
        len(contents.torn),
        QUARANTINE,
        kept.name,
        "" if is_short else " Nothing acknowledged is lost.",
    )


def _open_for_append(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise storage_fault(error, f"open {path.name} for writing", path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise not_a_regular_file(path)
    return descriptor
