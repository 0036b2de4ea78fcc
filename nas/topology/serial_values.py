"""Checked values of an architecture file.

Each reader returns its value or refuses it with the place it stands at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from nas.errors import ArchitectureError
from nas.registry import Registry, suggest

SCALES = ["auto", "none", "rsqrt", "mean"]


def check_keys(data: dict[str, Any], known: list[str], where: str) -> None:
    """Refuse a key that is not known, offering the closest."""
    for key in data:
        if key not in known:
            near = suggest(str(key), known)
            hint = f"Did you mean '{near}'? " if near else ""
            raise ArchitectureError(
                f"Unknown key '{key}' in {where.rstrip('.')}.",
                fix=f"{hint}Known keys: {', '.join(known)}.",
            )


def read_list(value: Any, place: str) -> list[Any]:
    """Return a list."""
    if value is None:
        raise ArchitectureError(
            f"The architecture has no '{place}'.", fix="Give a list of nodes and a list of edges."
        )
    if not isinstance(value, list):
        raise wrong_type(place, "a list", value)
    return value


def read_text(value: Any, place: str) -> str:
    """Return text that every encoding can hold."""
    if not isinstance(value, str):
        raise wrong_type(place, "text", value)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ArchitectureError(
            f"{place} holds half of a surrogate pair, no character.",
            fix="Write the character itself, or both halves.",
        ) from None
    return value


def read_flag(value: Any, place: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise wrong_type(place, "true or false", value)
    return value


def read_known(registry: Registry[Any], value: Any, place: str) -> str:
    """Return a registered name."""
    name = read_text(value, place)
    if name not in registry:
        error = registry.unknown(name)
        raise ArchitectureError(error.what, where=place, fix=error.fix)
    return name


def read_scale(value: Any, place: str) -> str:
    """Return the name of a scale."""
    if value not in SCALES:
        raise ArchitectureError(
            f"Unknown scale {value!r}.", where=place, fix=f"Known scales: {', '.join(SCALES)}."
        )
    return str(value)


def read_number(value: Any, place: str, limit: int) -> int:
    """Return a whole number from 1 to the limit."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(place, "a whole number", value)
    if not 1 <= value <= limit:
        raise ArchitectureError(
            f"{place} is {value}; it must lie between 1 and {limit:,}.",
            fix=f"The nearest is {min(max(value, 1), limit)}.",
        )
    return value


def kind_of(value: Any) -> str:
    """Return what kind of JSON value this is, in words."""
    names: Iterable[tuple[type, str]] = (
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number"),
        (str, "text"),
        (list, "a list"),
        (dict, "an object"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "null")


def wrong_type(place: str, wanted: str, value: Any) -> ArchitectureError:
    """Return the error for a value of another kind than the one wanted."""
    shown = json.dumps(value, default=str)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ArchitectureError(
        f"{place} must be {wanted}, not {kind_of(value)}: {shown}.",
        fix="Correct the value there; docs/language.md has every key.",
    )
