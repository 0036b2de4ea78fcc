"""Lines of the log: how a record becomes bytes, and how bytes prove that they are a record.

A line is `<crc32 hex> <length> <seq> <json>` and a newline. The checksum covers everything behind
it, `length` is the number of bytes of the JSON, `seq` counts records from 0 without gaps. So every
flipped bit, missing line and doubled line is seen.
"""

from __future__ import annotations

import gc
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from nas.errors import RunError
from nas.run_store.log_mark import LogMark

Record = dict[str, Any]
"""One fact about a run: a JSON object with at least a `kind`."""

_HEAD: Final = re.compile(rb"([0-9a-f]{8}) (0|[1-9][0-9]{0,14}) (0|[1-9][0-9]{0,14}) ")


@dataclass(frozen=True)
class BadRecord:
    """A line that is not a record: its number, place in the file in bytes, and what is wrong."""

    number: int
    offset: int
    length: int
    reason: str


@dataclass(frozen=True)
class Scan:
    """What a stretch of the log holds.

    Args:
        records: The records of the valid prefix, oldest first.
        end: Offset behind the last valid record, in bytes.
        torn: Bytes behind the last newline, left by a write that did not finish.
        bad: The first complete line that is no record; what follows it was not read.
        mark: Which record is the last one, None without any.
    """

    records: tuple[Record, ...]
    end: int
    torn: bytes
    bad: BadRecord | None
    mark: LogMark | None = None


def encode(seq: int, record: Record) -> bytes:
    """Return the line of `record`.

    Raises:
        RunError: If the record has no `kind`, or holds what JSON cannot (NaN, infinity, objects,
            keys that are not strings).
    """
    _check_plain(record)
    try:
        text = json.dumps(record, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise RunError(
            f"A record of kind '{record['kind']}' cannot be written as JSON: {error}.",
            why="The log holds plain JSON; objectives are finite numbers.",
            fix="Convert arrays and numbers of other libraries to Python's own, and record a "
            "non-finite result as trial_failed with reason 'nonfinite'.",
        ) from error
    payload = text.encode("ascii")
    body = b"%d %d %s" % (len(payload), seq, payload)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def normalize(record: Record) -> Record:
    """Return `record` as a reader of the log will see it (tuples become lists).

    Raises:
        RunError: As `encode`.
    """
    line = encode(0, record)
    return decode(line[:-1], 0)


def _check_plain(record: Record) -> None:
    kind = record.get("kind") if isinstance(record, dict) else None
    if not isinstance(kind, str) or not kind:
        raise RunError(
            f"A record needs a 'kind' that is a non-empty string, got {kind!r}.",
            fix="Give a dictionary such as {'kind': 'stage_started', 'stage': 'explore'}.",
        )
    pending: list[Any] = [record]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            _check_keys(value, kind)
            pending.extend(value.values())
        elif isinstance(value, list | tuple):
            pending.extend(value)


def _check_keys(value: dict[Any, Any], kind: str) -> None:
    for key in value:
        if not isinstance(key, str):
            raise RunError(
                f"A record of kind '{kind}' has the key {key!r}; keys are strings.",
                why="JSON would turn it into a string, and what is read would differ.",
                fix=f"Write '{key}'.",
            )


def decode(line: bytes, seq: int) -> Record:
    """Return the record in `line` (without its newline).

    Raises:
        ValueError: If the line is not the record with number `seq`; the text says why.
    """
    head = _HEAD.match(line)
    if head is None:
        raise ValueError("it does not begin with checksum, length and number")
    if int(head[1], 16) != zlib.crc32(line[9:]):
        raise ValueError("its checksum does not match its bytes")
    payload = line[head.end() :]
    if len(payload) != int(head[2]):
        raise ValueError(f"it says {int(head[2])} bytes and has {len(payload)}")
    if int(head[3]) != seq:
        raise ValueError(f"its number is {int(head[3])}, so lines are missing or doubled")
    return _parse(payload)


def _parse(payload: bytes) -> Record:
    try:
        record = from_json(payload, allow_inf_nan=False)
    except ValueError:
        record = _parse_slowly(payload)
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise ValueError("it is not a JSON object with a 'kind'")
    return record


def _parse_slowly(payload: bytes) -> Any:
    """Return what Python's own parser reads: all that `encode` writes, such as half of a pair.

    Raises:
        ValueError: If it is no JSON; the text says why.
    """
    try:
        return _DECODER.decode(payload.decode("utf-8"))
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
"""Made once: making one takes as long as reading a small record."""


def scan(data: bytes, *, offset: int = 0, seq: int = 0) -> Scan:
    """Read records from `data` up to the first bad line or the unfinished end.

    Args:
        data: Bytes of the log from `offset` on.
        offset: Where in the file `data` begins, in bytes.
        seq: Number of the first record in `data`.
    """
    records: list[Record] = []
    start, last, bad = 0, 0, None
    with collector_paused():
        while bad is None and (newline := data.find(b"\n", start)) >= 0:
            number = seq + len(records)
            try:
                records.append(decode(data[start:newline], number))
                last, start = start, newline + 1
            except ValueError as error:
                bad = BadRecord(number, offset + start, newline + 1 - start, str(error))
    mark = None
    if records:
        mark = LogMark(seq + len(records), offset + last, data[last : last + 8].decode("ascii"))
    return Scan(tuple(records), offset + start, b"" if bad else data[start:], bad, mark)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector out: JSON has no cycles, and looking for some doubles the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def salvage(data: bytes) -> tuple[list[Record], list[tuple[int, bytes]]]:
    """Read every record that is still whole, wherever it stands.

    Returns:
        The records in file order, and the stretches between them as (offset, bytes).
    """
    records: list[Record] = []
    lost: list[tuple[int, bytes]] = []
    covered = 0
    for head in _HEAD.finditer(data):
        start, end = head.start(), head.end() + int(head[2])
        if start < covered or end > len(data):
            continue
        try:
            record = decode(data[start:end], int(head[3]))
        except ValueError:
            continue
        if start > covered:
            lost.append((covered, data[covered:start]))
        records.append(record)
        covered = end + (data[end : end + 1] == b"\n")
    if covered < len(data):
        lost.append((covered, data[covered:]))
    return records, lost


@contextmanager
def read_for_good() -> Iterator[None]:
    """As `collector_paused`, for what stays as long as the process: it counts as old at the end.

    Of ten thousand trials there are millions of objects, and the collector would look at each of
    them twice before it lets it be.
    """
    with collector_paused():
        yield
        if gc.get_freeze_count() == 0:  # else another library keeps objects out for good
            gc.freeze()
            gc.unfreeze()
