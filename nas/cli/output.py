"""What commands print: stdout is data, stderr is talk.

All of it passes `visible`: names, paths and messages may come from a stranger's file, and a
terminal would obey the escape codes in them.

`--json` prints one document with a `schema` field. Tables are drawn with rich on a terminal and
are plain aligned columns elsewhere, so that `nas ... | awk` works.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, final

# Control characters but line break and tab; what is invisible or turns the direction of writing;
# separators that some terminals break lines at; halves of surrogate pairs.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


@final
class LogHandler(logging.Handler):
    """Prints log records on the stderr of the moment, warnings and errors with their level."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        message = visible(record.getMessage()).replace("\n", "\n  ")
        print(f"{level}{message}", file=sys.stderr, flush=True)


def make_streams_lenient() -> None:
    """Replace characters a terminal's encoding lacks, rather than fail after hours of work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_talkative() -> bool:
    """Tell whether messages and progress are wanted, that is, `--quiet` was not given."""
    return logging.getLogger("nas").isEnabledFor(logging.INFO)


def talk(message: str) -> None:
    """Say something to the user on stderr, unless `--quiet`."""
    if is_talkative():
        print(visible(message), file=sys.stderr, flush=True)


def visible(text: str) -> str:
    """Return text with an escape in place of every character that is unseen or steers a terminal.

    Line breaks and tabs stay; see `one_line` for text that must be one line.
    """
    return _STEERING.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """Return text of a stranger without line breaks and characters that steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def print_text(text: str) -> None:
    """Print data, visibly."""
    print(visible(text), flush=True)


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document; NaN and a missing `schema` are bugs of ours."""
    assert "schema" in document, "every --json document names its schema"
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # Such characters stand inside JSON's own text only, where this is how they are written.
    print(_STEERING.sub(_json_escape, text), flush=True)


def _json_escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\u{code:04x}" if code < 0x10000 else json.dumps(found.group())[1:-1]


def draws_unicode() -> bool:
    """Tell whether stdout can hold the characters of drawings and charts."""
    try:
        "●├╯…◆┤".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None
) -> None:
    """Print rows under their column names; numbers stand at the right.

    Args:
        columns: Column names.
        rows: As many cells as columns each; None prints as `-`.
        title: Line above the table, only on a terminal.
    """
    cells = [[format_cell(cell) for cell in row] for row in rows]
    to_the_right = [
        any(_is_number(row[index]) for row in rows)
        and all(row[index] is None or _is_number(row[index]) for row in rows)
        for index in range(len(columns))
    ]
    if sys.stdout.isatty():
        _print_rich(columns, cells, to_the_right, title)
    else:
        _print_plain(columns, cells, to_the_right)


def format_cell(cell: Any) -> str:
    """Write one value for reading: four significant digits, thousands separated."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.4g}" if isinstance(cell, float) else _in_one_line(str(cell))


def _in_one_line(text: str) -> str:
    return visible(text).replace("\n", "\\n").replace("\t", " ")


def _is_number(cell: Any) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _print_plain(columns: Sequence[str], cells: list[list[str]], to_the_right: list[bool]) -> None:
    widths = [
        max(len(row[index]) for row in [list(columns), *cells]) for index in range(len(columns))
    ]
    for row in [list(columns), *cells]:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, to_the_right, strict=True)
        )
        print("  ".join(padded).rstrip())
    sys.stdout.flush()


def _print_rich(
    columns: Sequence[str], cells: list[list[str]], to_the_right: list[bool], title: str | None
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for column, right in zip(columns, to_the_right, strict=True):
        table.add_column(column, justify="right" if right else "left")
    for row in cells:
        # Text, never markup: a name may hold square brackets.
        table.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout).print(table)
