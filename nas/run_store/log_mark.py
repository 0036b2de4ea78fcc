"""How far the log of a run was written, which its owner notes behind its name in `lock`.

A log that ends between two records looks whole, however many are missing: an older copy was put in
its place, or a disk forgot what it had promised to keep. The note waits for no disk and follows
its record, so after a power loss it may know of fewer records than there are, but never of more.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, final

from nas.errors import RunError
from nas.run_store.atomic import read_bytes

WIDTH: Final = 120
"""Bytes of a note, so that a shorter one covers a longer one."""


@final
@dataclass(frozen=True)
class LogMark:
    """The last record that was written.

    Args:
        records: Number of records, it included.
        offset: Where in the log it begins, in bytes.
        checksum: Its checksum, as it begins.
    """

    records: int
    offset: int
    checksum: str

    def lost_in(self, log: Path) -> str | None:
        """Return what is lost of a log that was written so far, None if nothing is.

        Raises:
            RunError: If the log is no regular file; FileNotFoundError if there is none.
        """
        begin = f"{self.checksum} ".encode()
        data = read_bytes(log, offset=self.offset)
        if data.startswith(begin) and b"\n" in data:
            return None
        data = read_bytes(log)
        if b"\n" in data.partition(begin)[2]:
            return None  # damage before it has moved it
        found = data.count(b"\n")
        if found < self.records:
            lost = self.records - found
            return f"the last {f'{lost} ' if lost > 1 else ''}of {self.records} records"
        return f"what was recorded from record {self.records - 1} on: another log is in its place"


def to_note(mark: LogMark | None) -> bytes:
    """Return a mark, or that there is none, as a line of `WIDTH` bytes."""
    text = "null" if mark is None else json.dumps(asdict(mark))
    return text.ljust(WIDTH - 1).encode() + b"\n"


def from_lock(text: bytes) -> LogMark | None:
    """Return the mark that the text of `lock` holds, if it does."""
    with suppress(ValueError, TypeError, KeyError):
        found = json.loads(text.partition(b"\n")[2])
        return LogMark(int(found["records"]), int(found["offset"]), str(found["checksum"]))
    return None


def read_mark(lock: Path) -> LogMark | None:
    """Return the mark of the last owner of a run, if there is one that can be read."""
    with suppress(OSError, RunError):
        return from_lock(read_bytes(lock))
    return None
