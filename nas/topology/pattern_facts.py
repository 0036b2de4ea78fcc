"""Everything that is told about a pattern: on the command line, and in the catalogue."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass
from math import lcm
from typing import Any, final

from nas.topology.pattern_parameters import Inner, Whole, Word
from nas.topology.patterns import MAX_SIZE, PATTERNS, Parameter, Pattern
from nas.topology.pictures import arcs, one_line
from nas.topology.published import PUBLISHED

SHOWN_SIZES = 6
USUAL_WIDTH = 16
"""Channels that `nas arch build` gives a pattern alone."""

PICTURE_SIZE = 4
"""Operations of the wiring in the picture, or the next size that exists."""


@final
@dataclass(frozen=True)
class SizeFacts:
    """What a pattern wires at one size."""

    operations: int
    nodes: int
    edges: int
    joins: int


@final
@dataclass(frozen=True)
class ParameterFacts:
    """A parameter in words."""

    name: str
    value: str
    allowed: str
    meaning: str


@final
@dataclass(frozen=True)
class PatternFacts:
    """A pattern in words, numbers and pictures.

    Args:
        name: Its canonical spelling.
        paper: Where it is from.
        summary: One sentence.
        text: The whole description.
        formula: What it computes.
        sizes: The sizes it exists for, in words.
        merge: Merge it is published with.
        parameters: What may be written in brackets, with the values in force.
        picture: The wiring in one line.
        drawing: The same wiring with arcs.
        examples: Counts at the smallest sizes.
        commands: Commands that show more.
    """

    name: str
    paper: str | None
    summary: str
    text: str
    formula: str
    sizes: str
    merge: str
    parameters: tuple[ParameterFacts, ...]
    picture: str
    drawing: str
    examples: tuple[SizeFacts, ...]
    commands: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def pattern_facts(spelling: str) -> PatternFacts:
    """Return what is told about the pattern that a text spells.

    Raises:
        NotFoundError: If there is none of that name.
        ConfigError: If a parameter is unknown or out of range.
        TopologyError: If it exists for no size.
    """
    pattern, paper = PATTERNS.get(spelling), PATTERNS.paper(spelling)
    smallest = pattern.smallest()
    pictured = next((n for n in range(PICTURE_SIZE, MAX_SIZE) if pattern.exists(n)), smallest)
    topology = pattern.wire(pictured)
    return PatternFacts(
        name=pattern.name,
        paper=str(paper) if paper else None,
        summary=pattern.summary,
        text=inspect.getdoc(pattern.rule) or "",
        formula=pattern.formula,
        sizes=pattern.sizes,
        merge=topology.merge,
        parameters=tuple(_parameter(pattern, each) for each in pattern.parameters),
        picture=one_line(topology),
        drawing=arcs(topology),
        examples=tuple(_sizes(pattern)),
        commands=_commands(pattern, pictured),
    )


def _parameter(pattern: Pattern, parameter: Parameter) -> ParameterFacts:
    value = dict(pattern.arguments)[parameter.name]
    shown = value.name if isinstance(value, Pattern) else str(value)
    return ParameterFacts(parameter.name, shown, parameter.allowed, parameter.meaning)


def _sizes(pattern: Pattern) -> list[SizeFacts]:
    rows = []
    for size in (size for size in range(1, MAX_SIZE + 1) if pattern.exists(size)):
        wired = pattern.wire(size)
        rows.append(SizeFacts(size, wired.num_nodes, len(wired.edges), len(wired.joins)))
        if len(rows) == SHOWN_SIZES:
            break
    return rows


def _commands(pattern: Pattern, size: int) -> tuple[str, ...]:
    """Return commands that work: one for the pattern as it is, one per parameter."""
    commands = [f'nas arch build "{_built(pattern, size)}"']
    for parameter in pattern.parameters:
        other = PATTERNS.bind(pattern.name, {parameter.name: another_value(parameter)})
        commands.append(f'nas arch build "{_built(other, other.smallest(PICTURE_SIZE))}"')
    return tuple(dict.fromkeys(commands))


def _built(pattern: Pattern, size: int) -> str:
    """Return what `nas arch build` reads, at a width that the pattern's groups divide."""
    prefix = "pattern." if pattern.name in PUBLISHED else ""
    wired = pattern.wire(size)
    groups = lcm(*(wired.link(edge).part[1] for edge in wired.edges))
    width = "" if USUAL_WIDTH % groups == 0 else f",width={8 * groups}"
    return f"{prefix}{pattern.name}:size={size}{width}"


def another_value(parameter: Parameter) -> str:
    """Return a value that is not the default, as an example."""
    if isinstance(parameter, Whole):
        lower = parameter.default > parameter.low
        return str(parameter.default - 1 if lower else parameter.default + 1)
    if isinstance(parameter, Word):
        return next(word for word in parameter.choices if word != parameter.default)
    assert isinstance(parameter, Inner)
    return "dense" if parameter.default != "dense" else "residual"
