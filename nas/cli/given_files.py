"""Texts on the command line that may name a file."""

from __future__ import annotations

from pathlib import Path


def given_file(text: str) -> Path | None:
    """Return the file that a text names, None if there is none or it can be the name of none."""
    try:
        path = Path(text).expanduser()
        return path if path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # too long, no such user's home, NUL inside
        return None
