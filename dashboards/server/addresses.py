"""Addresses of documents: the only shapes a path may have, read once and strictly.

A path names things, never files. Its pieces are split before their escapes are undone, so `%2f`
stays part of a name; the name of a run must then be one that the folder of runs holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qs, quote, unquote_to_bytes

from nas.errors import NotFoundError

VIEWS: Final = frozenset(
    {"front", "trials", "supernet", "progress", "space", "failures", "provenance"}
)
MOST_COMPARED: Final = 20
"""Runs that are laid over each other."""

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_FORMAT: Final = re.compile(r"[a-z][a-z-]{0,31}")
_LONGEST_NAME: Final = 255

Kind = Literal["document", "events", "file"]


@dataclass(frozen=True)
class Address:
    """What was asked for.

    Args:
        kind: A document, a stream of events or a file to download.
        path: The document's path in its one spelling.
        runs: Names of the runs it is about; none for the list of all.
        after: Number of the last record the asker knows.
        trial: Number of a trial.
        format: Format of a file.
    """

    kind: Kind
    path: str
    runs: tuple[str, ...]
    after: int | None = None
    trial: int | None = None
    format: str | None = None


def read_address(raw_path: bytes, query: bytes) -> Address:
    """Return what a request is about.

    Args:
        raw_path: Path as it came, with its escapes.
        query: What follows the question mark.

    Raises:
        NotFoundError: If no document has such an address.
    """
    pieces = [_name(piece) for piece in raw_path.split(b"/")[1:]]
    try:
        fields = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=32)
    except ValueError:
        raise _unknown() from None
    match pieces:
        case ["api", "runs"]:
            return Address("document", "/api/runs", ())
        case ["api", "compare"]:
            return _compared(fields)
        case ["api", "runs", run, *rest]:
            return _of_run(run, rest, fields)
    raise _unknown()


def run_path(run: str, *pieces: str | int) -> str:
    """Return the path of a document of a run, in its one spelling."""
    return "/".join(("/api/runs", *(quote(str(piece), safe="") for piece in (run, *pieces))))


def _of_run(run: str, rest: list[str], fields: dict[str, list[str]]) -> Address:
    match rest:
        case []:
            return Address("document", run_path(run), (run,))
        case ["events"]:
            return Address("events", run_path(run, "events"), (run,), after=_after(fields))
        case ["trials"]:
            after = _after(fields)
            path = run_path(run, "trials") + ("" if after is None else f"?after={after}")
            return Address("document", path, (run,), after=after)
        case [view] if view in VIEWS:
            return Address("document", run_path(run, view), (run,))
        case ["trials", number]:
            return Address("document", run_path(run, "trials", _number(number)), (run,))
        case ["baselines", name]:
            return Address("document", run_path(run, "baselines", name), (run,))
        case ["trials", number, "files", format_] if _FORMAT.fullmatch(format_):
            trial = _number(number)
            path = run_path(run, "trials", trial, "files", format_)
            return Address("file", path, (run,), trial=trial, format=format_)
    raise _unknown()


def _compared(fields: dict[str, list[str]]) -> Address:
    """Names are separated by commas; a name cannot hold one that is not escaped twice."""
    given = ",".join(fields.get("runs", ())).split(",")
    runs = tuple(dict.fromkeys(name for name in given if name))
    if not 1 <= len(runs) <= MOST_COMPARED:
        raise NotFoundError(
            f"{len(runs)} runs cannot be compared.",
            fix=f"Name 1 to {MOST_COMPARED} runs: /api/compare?runs=A,B.",
        )
    names = ",".join(quote(run, safe="") for run in runs)
    return Address("document", f"/api/compare?runs={names}", runs)


def _name(piece: bytes) -> str:
    decoded = unquote_to_bytes(piece)
    if not 1 <= len(decoded) <= _LONGEST_NAME or b"/" in decoded or b"\0" in decoded:
        raise _unknown()
    try:
        name = decoded.decode("utf-8")
    except UnicodeDecodeError:
        raise _unknown() from None
    if name in (".", ".."):
        raise _unknown()
    return name


def _after(fields: dict[str, list[str]]) -> int | None:
    given = fields.get("after", [])
    return None if not given else _number(given[-1])


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise _unknown()
    return int(text)


def _unknown() -> NotFoundError:
    return NotFoundError("There is no such document.", fix="Start at the list of all runs: /")
