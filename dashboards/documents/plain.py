"""Plain values out of records and notes: what is not what it should be reads as unknown.

Notes are talk and records may come from a stranger's folder, so no type is taken for granted. JSON
has no infinity and no NaN; both are unknown here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DIGITS = 6
"""Significant digits of derived numbers such as bars: what a screen can tell apart, and no more."""


def number(value: object) -> float | None:
    """Return a finite number as it is, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def whole(value: object) -> int | None:
    """Return a whole number, None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text(value: object) -> str | None:
    """Return a text that is not empty, None for anything else."""
    return value if isinstance(value, str) and value else None


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping as it is, an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Any]:
    """Return a list as it is, an empty one for anything else."""
    return value if isinstance(value, list) else []


def short(value: object) -> float | None:
    """Return a finite number with as many digits as can be seen, None for anything else."""
    found = number(value)
    return None if found is None else float(f"{found:.{DIGITS}g}")


def without_folder(message: str | None, folder: Path) -> str | None:
    """Return what an error says as a page may show it: a run has a name there, and no place.

    Args:
        message: What is wrong, or the way out, as it is for a terminal.
        folder: Folder of runs.
    """
    return None if message is None else message.replace(f"{folder.absolute()}{os.sep}", "")


def total(values: list[float | None]) -> float | None:
    """Return the sum of what is known, None where nothing is."""
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None
