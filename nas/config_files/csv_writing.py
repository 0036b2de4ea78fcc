"""CSV that a spreadsheet opens as data: text that it would take for a formula is marked as text.

A cell whose text begins with `=`, `+`, `-`, `@`, a tab or a line break gets an apostrophe before
it (OWASP, CSV injection); numbers stay as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\n")


def csv_text(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows under their column names; None is an empty cell, booleans are `true`, `false`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_cell(head) for head in heads])
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return stream.getvalue()


def no_formula(text: str) -> str:
    """Return a text that no spreadsheet reads as a formula; a line break in it is a newline."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # else some readers end the row there
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return no_formula(value) if isinstance(value, str) else value
