"""Edits as JSON: `{"edit": "add_edge", "edge": [0, 3]}`, read as strictly as architectures are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from nas.errors import ArchitectureError
from nas.registry import suggest
from nas.topology.edits.base import EDITS, AbstractEdit
from nas.topology.graph import Architecture, Edge, Gain, Node
from nas.topology.serial import (
    dump_architecture,
    dump_edge,
    dump_node,
    load_architecture,
    load_edge,
    load_node,
)

MAX_DEPTH = 16
"""Edits of cells within edits of cells."""


def dump_edit(edit: AbstractEdit) -> dict[str, Any]:
    """Return an edit as plain JSON data."""
    values = {field.name: _dump(getattr(edit, field.name)) for field in fields(edit)}
    return {"edit": edit.name, **values}


def _dump(value: Any) -> Any:
    dumps: tuple[tuple[type, Callable[[Any], Any]], ...] = (
        (AbstractEdit, dump_edit),
        (Architecture, dump_architecture),
        (Node, dump_node),
        (Edge, dump_edge),
        (Gain, lambda gain: [gain.kind, gain.value]),
        (tuple, lambda entries: [_dump(entry) for entry in entries]),
    )
    return next((dump(value) for kind, dump in dumps if isinstance(value, kind)), value)


def load_edit(data: Any, place: str = "edit") -> AbstractEdit:
    """Read an edit as `dump_edit` wrote it.

    Args:
        data: Parsed JSON.
        place: What messages call it.

    Raises:
        ArchitectureError: If it is malformed or of an unknown kind.
        TopologyError: If a cell in it is no connected acyclic graph.
    """
    return _load_edit(data, place, 0)


def _load_edit(data: Any, place: str, depth: int) -> AbstractEdit:
    if depth > MAX_DEPTH:
        raise ArchitectureError(
            f"{place[:80]}... is nested deeper than {MAX_DEPTH} levels.",
            fix="Write the edits one after another instead of inside one another.",
        )
    if not isinstance(data, dict):
        raise ArchitectureError(
            f"{place} must be an object with the key 'edit'.",
            fix="Give a file that `nas arch edit --lineage` wrote, as it was written.",
        )
    name = data.get("edit")
    if not isinstance(name, str) or name not in EDITS:
        error = EDITS.unknown(str(name))
        raise ArchitectureError(error.what, where=place, fix=error.fix)
    kind = EDITS.get(name)
    known = {field.name: field for field in fields(kind)}
    wrong = [key for key in data if key != "edit" and key not in known]
    if wrong:
        near = suggest(wrong[0], list(known))
        raise ArchitectureError(
            f"Unknown key '{wrong[0]}' in {place} ('{name}').",
            fix=(f"Did you mean '{near}'? " if near else "") + f"Its keys: {', '.join(known)}.",
        )
    missing = [key for key in known if key not in data]
    if missing:
        raise ArchitectureError(
            f"{place} ('{name}') has no key '{missing[0]}'.",
            fix="Give a file that `nas arch edit --lineage` wrote, as it was written.",
        )
    values = {
        key: _load(str(field.type), data[key], f"{place}.{key}", depth)
        for key, field in known.items()
    }
    return kind(**values)


def _load(kind: str, value: Any, place: str, depth: int) -> Any:
    loads: dict[str, Callable[[Any], Any]] = {
        "int": lambda data: _typed(data, int, "a whole number", place),
        "int | None": lambda data: None if data is None else _load("int", data, place, depth),
        "str": lambda data: _typed(data, str, "text", place),
        "str | None": lambda data: None if data is None else _load("str", data, place, depth),
        "Edge": lambda data: load_edge(data, place),
        "Node": lambda data: load_node(data, place),
        "Gain": lambda data: _gain(data, place),
        "Architecture": load_architecture,
        "AbstractEdit": lambda data: _load_edit(data, place, depth + 1),
    }
    if kind.startswith("tuple["):
        entries = _typed(value, list, "a list", place)
        entry_kind = kind.removeprefix("tuple[").removesuffix(", ...]")
        return tuple(
            _load(entry_kind, entry, f"{place}[{index}]", depth)
            for index, entry in enumerate(entries)
        )
    return loads[kind](value)


def _gain(value: Any, place: str) -> Gain:
    return load_edge([0, 1, "auto", "default", {"gain": value}], place).gain


def _typed(value: Any, kind: type, wanted: str, place: str) -> Any:
    if type(value) is not kind:
        raise ArchitectureError(
            f"{place} must be {wanted}, not {str(value)[:60]!r}.",
            fix="Correct the value in the file.",
        )
    return value
