"""Hand-made members of a space in several sizes: the same wiring, deeper or wider.

Which questions ask for a size is known by their name (`stage2.depth`, `stage2.width`), as for the
published form of a wiring; every other answer stays what the hand-made wiring has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, final

import numpy as np

from nas.space import AbstractSpace, Decisions
from nas.space.base import question_of
from nas.space.choices import Answer, Choice, OneOf, Value
from nas.topology.graph import Architecture
from nas.topology.identity import trained_id

DEPTH: Final = "depth"
WIDTH: Final = "width"


@final
@dataclass(frozen=True)
class Sized:
    """A hand-made wiring in one size.

    Args:
        size: Its depths and widths, as a table shows them.
        architecture: The network.
    """

    size: str
    architecture: Architecture


def sizes_of(
    space: AbstractSpace, wiring: Mapping[str, Answer], depths: int, widths: int
) -> Iterator[Sized]:
    """Yield a wiring as it is, then in every depth and width asked for; equal networks once.

    Args:
        space: The space.
        wiring: The hand-made member.
        depths: Most depths, spread over those that the space offers this wiring.
        widths: Most widths, likewise.
    """
    members: list[Decisions] = [dict(wiring)]
    for depth in _levels(depths):
        for width in _levels(widths):
            levels = {DEPTH: depth, WIDTH: width}
            members.append(space.walk(partial(_answer, wiring, levels)))
    known: set[str] = set()
    for decisions in members:
        architecture = space.build(decisions)
        identity = trained_id(architecture)
        if identity not in known:
            known.add(identity)
            yield Sized(_describe(decisions), architecture)


def _levels(count: int) -> list[float]:
    """Return places between the smallest option, 0, and the largest, 1; one is the largest."""
    return [1.0] if count == 1 else [float(place) for place in np.linspace(0, 1, count)]


def _answer(wiring: Mapping[str, Answer], levels: Mapping[str, float], choice: Choice) -> Answer:
    """Answer a question as the wiring does, and a question of size as the levels say."""
    question = question_of(choice.name)
    if isinstance(choice, OneOf) and question in levels:
        values: list[Value] = sorted(option.value for option in choice.options)
        return values[round(levels[question] * (len(values) - 1))]
    # A deeper stage asks of nodes that the wiring does not have: they answer as its others do.
    alike = (answer for name, answer in wiring.items() if question_of(name) == question)
    for known in (wiring.get(choice.name), *alike):
        if known is not None and choice.valid(known):
            return known
    return choice.default()


def _describe(decisions: Mapping[str, Answer]) -> str:
    """Return `depth 2-4-4, width 16-32-64`, stage by stage, one number where all are equal."""
    parts = []
    for question in (DEPTH, WIDTH):
        found = [str(value) for name, value in decisions.items() if question_of(name) == question]
        if found:
            parts.append(f"{question} {found[0] if len(set(found)) == 1 else '-'.join(found)}")
    return ", ".join(parts)
