"""A run on its way through the log of a job: what every Ray cluster lets its users read.

A cluster is reached through its job server alone, which has no way to take a file home. So a job
writes the run's archive to its log, in numbered lines of letters; the reader puts them together and
believes them when the hash at the end is right.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final, cast, final

from nas.errors import ClusterError, RunError
from nas.run_store.copies import contents_of, pack_run, put_copy

BEGIN: Final = "nas-run "
PART: Final = "nas-part "
END: Final = "nas-end "

_CHUNK: Final = 48 * 1024  # a multiple of 4, so that lines are whole groups of base85
_LARGEST: Final = 1 << 40


def send_run(run: Path, write: Callable[[str], object]) -> None:
    """Write a run line by line.

    Args:
        run: Its folder.
        write: Takes one line with its end.

    Raises:
        NotFoundError: If there is no such run.
    """
    contents = contents_of(run)
    write(BEGIN + json.dumps({"files": len(contents.files), "size": contents.size}) + "\n")
    lines = _Lines(write)
    pack_run(run, contents, cast(BinaryIO, lines))
    lines.finish()


@final
class _Lines(io.RawIOBase):
    """A file whose content becomes lines."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._rest = bytearray()
        self._hash = hashlib.sha256()
        self._parts = 0

    def write(self, data: Any) -> int:
        """Take bytes; write as many whole lines as they make."""
        self._hash.update(data)
        self._rest += data
        while len(self._rest) >= _CHUNK:
            self._line(bytes(self._rest[:_CHUNK]))
            del self._rest[:_CHUNK]
        return len(data)

    def finish(self) -> None:
        """Write what is left, and the line that proves the whole."""
        if self._rest:
            self._line(bytes(self._rest))
        end = {"parts": self._parts, "sha256": self._hash.hexdigest()}
        self._write(END + json.dumps(end) + "\n")

    def _line(self, chunk: bytes) -> None:
        self._write(f"{PART}{self._parts} {base64.b85encode(chunk).decode('ascii')}\n")
        self._parts += 1


@final
class Receiver:
    """Puts together what `send_run` wrote.

    Args:
        folder: Where the archive lies until the run is unpacked, as a file without a name.
        on_part: Told how many bytes have come.
    """

    def __init__(self, folder: Path, on_part: Callable[[int], None] = lambda size: None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._on_part = on_part
        self._hash = hashlib.sha256()
        self._parts = 0
        self._size = 0
        self.announced: int | None = None
        self.complete = False

    def take(self, line: str) -> None:
        """Take a line of the log; others than a run's are overlooked.

        Raises:
            ClusterError: If a line is missing or damaged.
        """
        try:
            if line.startswith(PART):
                self._part(line.removeprefix(PART))
            elif line.startswith(BEGIN):
                self.announced = int(json.loads(line.removeprefix(BEGIN))["size"])
            elif line.startswith(END):
                self._end(json.loads(line.removeprefix(END)))
        except (ValueError, KeyError, TypeError) as error:
            raise _broken(f"{type(error).__name__}: {error}") from error

    def unpack(self, target: Path) -> None:
        """Make a run of what came, in one step.

        Raises:
            ClusterError: If it did not come whole.
            RunError: If it is no run, or if what stands there went on by itself.
        """
        if not self.complete or self.announced is None:
            raise _broken("its end is missing")
        if not 0 <= self.announced <= _LARGEST:
            raise RunError(
                f"A run of {self.announced} bytes is not possible.", fix="Send it again."
            )
        self._file.seek(0)
        # The log may have grown since the size was announced.
        put_copy(cast(BinaryIO, self._file), target, self.announced + self.announced // 4 + 2**20)

    def close(self) -> None:
        """Give the archive up."""
        self._file.close()

    def _part(self, text: str) -> None:
        number, _, letters = text.strip().partition(" ")
        if int(number) != self._parts:
            raise _broken(f"part {number} came where {self._parts} was due")
        chunk = base64.b85decode(letters)
        self._parts += 1
        self._size += len(chunk)
        self._hash.update(chunk)
        self._file.write(chunk)
        self._on_part(self._size)

    def _end(self, end: dict[str, Any]) -> None:
        if end["parts"] != self._parts or end["sha256"] != self._hash.hexdigest():
            raise _broken("its hash is another one")
        self.complete = True


def _broken(why: str) -> ClusterError:
    return ClusterError(
        "The run did not come back whole; the one on the cluster is as it was.",
        why=why,
        fix="Bring it again: nas jobs fetch RUN",
    )
