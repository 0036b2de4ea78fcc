"""One class for modules that differ in numbers alone, one function for rows of layers that do.

Numbers that are the same in all of them stay numbers; those that change together become one
argument, named by what it is there. An argument that is always a multiple of another is written as
that multiple.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import final

from nas.export.source.naming import numbered
from nas.export.source.pieces import Argument, Call, Raw, Value

Column = tuple[Value, ...]
"""The values of one number in all modules of a class."""

_CHANNELS = ("inputs", "outputs", "channels", "hidden", "groups", "extra")


@final
@dataclass(frozen=True)
class Hole:
    """A number of a call that may differ between modules."""

    value: Value
    role: str
    default: Value | None


@final
@dataclass(frozen=True)
class Parameter:
    """An argument of a class or function of the file."""

    name: str
    kind: str
    role: str
    default: Value | None

    @property
    def declared(self) -> str:
        """How it stands in the signature."""
        default = "" if self.default is None else f" = {self.default!r}"
        return f"{self.name}: {self.kind}{default}"


@final
@dataclass(frozen=True)
class Unified:
    """What modules of one skeleton have in common.

    Args:
        parameters: The arguments.
        calls: The constructors, with the arguments' names in place of numbers.
        arguments: Per module, what it is constructed with.
    """

    parameters: tuple[Parameter, ...]
    calls: tuple[Call, ...]
    arguments: tuple[tuple[Argument, ...], ...]


def skeleton(value: Value) -> object:
    """Return what a value is without its numbers."""
    if isinstance(value, Call):
        return (value.name, tuple((e.keyword, skeleton(e.value)) for e in value.arguments))
    return None if _is_number(value) else value


def holes(value: Value, role: str = "", default: Value | None = None) -> Iterator[Hole]:
    """Yield the numbers of a value, in order."""
    if isinstance(value, Call):
        for entry in value.arguments:
            yield from holes(entry.value, entry.role, entry.default)
    elif _is_number(value):
        yield Hole(value, role, default)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float | tuple) and not isinstance(value, bool)


def unify(modules: Sequence[Sequence[Call]]) -> Unified:
    """Return what modules, each a row of constructors of one skeleton, have in common."""
    rows = [[hole for call in module for hole in holes(call)] for module in modules]
    columns = [tuple(hole.value for hole in column) for column in zip(*rows, strict=True)]
    parameters: dict[Column, Parameter] = {}
    written: list[Value] = []
    dilations = {c for c, hole in zip(columns, rows[0], strict=True) if hole.role == "dilation"}
    for column, hole in zip(columns, rows[0], strict=True):
        spread = hole.role == "padding" and column in dilations
        named = replace(hole, role="dilation", default=1) if spread else hole
        written.append(_written(column, named, parameters))
    filler = iter(written)
    calls = tuple(_filled(call, filler) for call in modules[0])
    order = sorted(parameters.items(), key=lambda item: item[1].default is not None)
    arguments = tuple(
        tuple(_argument(parameter, column[place]) for column, parameter in order)
        for place in range(len(modules))
    )
    return Unified(tuple(parameter for _, parameter in order), calls, arguments)


def _written(column: Column, hole: Hole, parameters: dict[Column, Parameter]) -> Value:
    """Return what stands in the place of a column, and add an argument where one is needed."""
    if len(set(column)) == 1:
        return column[0]
    if column not in parameters:
        derived = _derived(column, hole, parameters)
        if derived is not None:
            return derived
        taken = [parameter.name for parameter in parameters.values()]
        kinds = sorted({_kind(value) for value in column})
        default = hole.default if hole.default in column else None
        name = numbered(hole.role or "size", taken)
        parameters[column] = Parameter(name, " | ".join(kinds), hole.role, default)
    return Raw(parameters[column].name)


def _derived(column: Column, hole: Hole, parameters: dict[Column, Parameter]) -> Raw | None:
    """Return a column as half of a kernel, or a multiple of channels that are known already."""
    for known, parameter in parameters.items():
        if not all(type(value) is int for value in (*known, *column)):
            continue
        pairs = [(int(str(a)), int(str(b))) for a, b in zip(known, column, strict=True)]
        text = _relation(pairs, parameter, hole.role)
        if text is not None:
            return Raw(text)
    return None


def _relation(pairs: Sequence[tuple[int, int]], parameter: Parameter, role: str) -> str | None:
    """Return how the second numbers follow from the first, an argument, in all pairs."""
    if role == "padding" and parameter.role == "kernel":
        half = all(value == kernel // 2 for kernel, value in pairs)
        return f"{parameter.name} // 2" if half else None
    if role not in _CHANNELS or parameter.role not in _CHANNELS or 0 in pairs[0]:
        return None
    base, value = pairs[0]
    up, down = value // base, base // value
    if up > 1 and all(second == up * first for first, second in pairs):
        return f"{up} * {parameter.name}"
    if down > 1 and all(first == down * second for first, second in pairs):
        return f"{parameter.name} // {down}"
    more = value - base
    if all(second == first + more for first, second in pairs):
        return f"{parameter.name} {'+' if more > 0 else '-'} {abs(more)}"
    return None


def _kind(value: Value) -> str:
    if isinstance(value, tuple):
        return f"tuple[{', '.join('int' for _ in value)}]"
    return type(value).__name__


def _filled(call: Call, values: Iterator[Value]) -> Call:
    """Return a call with these values in place of its numbers."""
    entries = []
    for entry in call.arguments:
        value = entry.value
        if isinstance(value, Call):
            value = _filled(value, values)
        elif _is_number(value):
            value = next(values)
        entries.append(replace(entry, value=value))
    return Call(call.name, tuple(entries))


def _argument(parameter: Parameter, value: Value) -> Argument:
    keyword = parameter.name if parameter.default is not None else ""
    return Argument(value, keyword, parameter.role, parameter.default)
