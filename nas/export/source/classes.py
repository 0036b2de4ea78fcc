"""Which classes and functions a file has, and every module as a call of one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast, final

from nas.export.source.layout import Written
from nas.export.source.naming import class_name, identifier, numbered
from nas.export.source.pieces import Argument, Call
from nas.export.source.printing import call_text
from nas.export.source.unify import Parameter, Unified, skeleton, unify

MAX_ARGUMENTS = 6
"""Classes of more arguments are written out per module: nobody reads such a call."""


@final
@dataclass(frozen=True)
class Function:
    """A function of the file that makes a row of layers."""

    name: str
    parameters: tuple[Parameter, ...]
    call: Call


@final
@dataclass(frozen=True)
class Class:
    """A class of the file.

    Args:
        name: Its name.
        parameters: Arguments of its constructor.
        attributes: Name and constructor.
        forward: Arguments of `forward`.
        lines: Body of `forward`.
        paths: What modules are made from it, as the architecture names them.
    """

    name: str
    parameters: tuple[Parameter, ...]
    attributes: tuple[tuple[str, Call], ...]
    forward: tuple[str, ...]
    lines: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]


@final
@dataclass
class Definitions:
    """The functions and classes of a file, in the order they are written in."""

    functions: list[Function] = field(default_factory=list)
    classes: list[Class] = field(default_factory=list)


def define(whole: Written, taken: Sequence[str]) -> tuple[Definitions, list[tuple[str, Call]]]:
    """Return the definitions below a network, and the network's own attributes as calls.

    Args:
        whole: The network.
        taken: Names that the file uses otherwise.
    """
    found = Definitions()
    names = set(taken)
    _define_functions(whole, found, names)
    levels: dict[int, list[Written]] = {}
    _by_height(whole, levels)
    for height in sorted(levels):
        _define_classes([entry for entry in levels[height] if entry is not whole], found, names)
    return found, _calls(whole)


def _by_height(written: Written, levels: dict[int, list[Written]]) -> int:
    height = 1 + max((_by_height(child, levels) for child in written.children()), default=0)
    levels.setdefault(height, []).append(written)
    return height


def _calls(written: Written) -> list[tuple[str, Call]]:
    """Return the attributes of a module whose children are calls by now."""
    return [
        (name, entry if isinstance(entry, Call) else cast(Call, entry.call))
        for name, entry in written.attributes
    ]


def _everywhere(written: Written) -> Iterator[Written]:
    yield written
    for child in written.children():
        yield from _everywhere(child)


def _define_functions(whole: Written, found: Definitions, names: set[str]) -> None:
    """Write rows of layers that occur more than once as calls of a function."""
    rows: dict[object, list[Call]] = {}
    owners = list(_everywhere(whole))
    for owner in owners:
        for _, entry in owner.attributes:
            if isinstance(entry, Call) and entry.name == "nn.Sequential":
                rows.setdefault(skeleton(entry), []).append(entry)
    replaced: dict[Call, Call] = {}
    for row in rows.values():
        if len(row) > 1 and len(row[0].arguments) > 1:
            replaced.update(_function(row, found, names))
    for owner in owners:
        owner.attributes = [
            (name, replaced.get(entry, entry) if isinstance(entry, Call) else entry)
            for name, entry in owner.attributes
        ]


def _function(row: list[Call], found: Definitions, names: set[str]) -> dict[Call, Call]:
    unified = unify([[call] for call in row])
    name = numbered(_row_name(unified.calls[0]), names)
    names.add(name)
    found.functions.append(Function(name, unified.parameters, unified.calls[0]))
    pairs = zip(row, unified.arguments, strict=True)
    return {call: Call(name, arguments) for call, arguments in pairs}


def _row_name(row: Call) -> str:
    """Return what a person would call a row of layers, such as `conv_norm_relu`."""
    words = [_word(cast(Call, entry.value)) for entry in row.arguments]
    if len(words) > 4:
        words = [word for word in words if "conv" in word or word in ("depthwise", "gate")]
    return "_".join(words) if 0 < len(words) <= 4 else "layers"


def _word(call: Call) -> str:
    groups = next((entry for entry in call.arguments if entry.role == "groups"), None)
    known = {
        "nn.Conv2d": "conv" if groups is None or groups.value == 1 else "depthwise",
        "nn.BatchNorm2d": "bn",
        "ChannelNorm": "norm",
        "nn.MaxPool2d": "pool",
        "nn.AvgPool2d": "pool",
        "nn.AdaptiveAvgPool2d": "pool",
        "ChannelGate": "gate",
    }
    return known.get(call.name, identifier(call.name.rpartition(".")[2]))


def _define_classes(level: list[Written], found: Definitions, names: set[str]) -> None:
    """Turn the modules of one height into calls, and define the classes these need."""
    groups: dict[object, list[Written]] = {}
    for written in level:
        calls = _calls(written)
        if written.is_sequence:
            written.call = _sequence([call for _, call in calls])
            continue
        key = (
            tuple((name, skeleton(call)) for name, call in calls),
            tuple(written.parameters),
            tuple(written.lines),
        )
        groups.setdefault(key, []).append(written)
    for group in groups.values():
        for part, unified in _unified(group):
            _define_class(part, unified, found, names)


def _unified(group: list[Written]) -> Iterator[tuple[list[Written], Unified]]:
    """Yield modules that one class stands for: all of them, or those of equal numbers."""
    unified = unify([[call for _, call in _calls(entry)] for entry in group])
    if len(unified.parameters) <= MAX_ARGUMENTS:
        yield group, unified
        return
    equal: dict[tuple[Argument, ...], list[Written]] = {}
    for entry, arguments in zip(group, unified.arguments, strict=True):
        equal.setdefault(arguments, []).append(entry)
    for part in equal.values():
        yield part, unify([[call for _, call in _calls(entry)] for entry in part])


def _define_class(
    part: list[Written], unified: Unified, found: Definitions, names: set[str]
) -> None:
    own = identifier(part[0].path[-1], "part")
    name = class_name(own if len(part) == 1 else own.rstrip("0123456789_") or own)
    if name in names and any("stride=2" in call_text(call) for call in unified.calls):
        name = f"Down{name}"
    name = numbered(name, names)
    names.add(name)
    attributes = tuple(zip([key for key, _ in part[0].attributes], unified.calls, strict=True))
    found.classes.append(
        Class(
            name,
            unified.parameters,
            attributes,
            tuple(part[0].parameters),
            tuple(part[0].lines),
            tuple(entry.path for entry in part),
        )
    )
    for entry, arguments in zip(part, unified.arguments, strict=True):
        entry.call = Call(name, arguments)


def _sequence(calls: Sequence[Call]) -> Call:
    return Call("nn.Sequential", tuple(Argument(call) for call in calls))
