"""Patterns in every spelling: variants of each registered one, and random mixes of them.

`variants()` lists every pattern at its defaults and with each parameter at another value;
`composed_patterns()` draws patterns around patterns with random parameters, for tests that promise
something of every mix; `small_stage` makes a network of one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from nas.cost.shapes import plan
from nas.errors import ArchitectureError
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.patterns import PATTERNS, Inner, Parameter, Pattern, Word
from nas.topology.stages import stage_architecture

SHAPE: Shape = (3, 8, 8)
WIDTH = 12
CLASSES = 5
LARGEST_MIX = 60
"""Nodes of a drawn mix; larger ones are not drawn."""

Draw = Any


@dataclass(frozen=True)
class Mix:
    """A pattern, a size it exists for, and the operation of its open nodes."""

    pattern: str
    size: int
    operation: str = "conv1x1"

    def network(self) -> Architecture:
        """Return the one-stage network."""
        return small_stage(PATTERNS.get(self.pattern), self.size, self.operation)


def small_stage(pattern: Pattern, size: int, operation: str = "conv1x1") -> Architecture:
    """Return the network of one stage behind a stem."""
    return stage_architecture(
        pattern.wire(size),
        width=WIDTH,
        operation=operation,
        stem="conv1x1",
        wiring=(pattern.name,),
    )


def variants() -> list[str]:
    """Return every registered pattern, and each with one parameter at another value."""
    return [spelling for name in PATTERNS for spelling in (name, *_others(PATTERNS.get(name)))]


def _others(pattern: Pattern) -> Iterator[str]:
    for parameter in pattern.parameters:
        for value in _other_values(parameter):
            yield f"{pattern.base}({parameter.name}={value})"


def _other_values(parameter: Parameter) -> list[str]:
    if isinstance(parameter, Word):
        return [word for word in parameter.choices if word != parameter.default]
    if isinstance(parameter, Inner):
        return ["dense"]
    lower = parameter.default > parameter.low
    return [str(parameter.default - 1 if lower else parameter.default + 1)]


@st.composite
def composed_patterns(draw: Draw, levels: int = 3) -> Mix:
    """Draw a pattern, up to `levels` deep, with random parameters and a small size.

    Every mix is a network that `plan` accepts at `SHAPE`; what a width of 12 cannot be split into
    and images too small to pool are not drawn.
    """
    text = draw(_spellings(levels))
    assume(text.count("(") <= 4 and len(text) <= 200)
    pattern = PATTERNS.get(text)
    sizes = [size for size in range(1, 19) if pattern.exists(size)][:4]
    assume(sizes)
    operation = draw(st.sampled_from(("conv1x1", "conv3x3", "bn_relu_conv1x1", "separable3x3")))
    mix = Mix(pattern.name, draw(st.sampled_from(sizes)), operation)
    assume(pattern.wire(mix.size).num_nodes <= LARGEST_MIX)
    assume(_fits(mix.network()))
    return mix


def _fits(architecture: Architecture) -> bool:
    try:
        plan(architecture, SHAPE)
    except ArchitectureError as error:
        if "groups" in str(error) or "too small" in str(error):
            return False
        raise
    return True


@st.composite
def _spellings(draw: Draw, levels: int) -> str:
    wrappers = [
        name
        for name in PATTERNS
        if any(isinstance(each, Inner) for each in PATTERNS.get(name).parameters)
    ]
    plain = [name for name in PATTERNS if name not in wrappers]
    wraps = levels > 1 and draw(st.booleans())
    name = draw(st.sampled_from(wrappers if wraps else plain))
    written = []
    for parameter in PATTERNS.get(name).parameters:
        if isinstance(parameter, Inner):
            choices = _spellings(levels - 1)
            inner = draw(choices.filter(lambda text: "free" not in text))
            written.append(f"{parameter.name}={inner}")
        elif draw(st.integers(0, 3)) == 0:
            written.append(f"{parameter.name}={draw(_values(parameter))}")
    return f"{name}({','.join(written)})" if written else name


def _values(parameter: Parameter) -> st.SearchStrategy[Any]:
    if isinstance(parameter, Word):
        return st.sampled_from(parameter.choices)
    assert not isinstance(parameter, Inner)
    return st.integers(parameter.low, min(parameter.high, max(parameter.default, 4)))


def relabelled(network: Architecture, rng: random.Random) -> Architecture:
    """Return the same network with its nodes in another topological order and other names.

    Inputs of a `stack` keep their order, which is the order of its channels.
    """
    last = len(network.nodes) - 1
    before: dict[int, set[int]] = {
        node: {edge.source for edge in network.inputs(node)} for node in range(last + 1)
    }
    for node in range(last + 1):
        if network.nodes[node].merge == "stack":
            sources = [edge.source for edge in network.inputs(node)]
            for first, second in pairwise(sources):
                if first != second:
                    before[second].add(first)
    order = [0]
    while len(order) < last:
        done = set(order)
        ready = [node for node in range(1, last) if node not in done and before[node] <= done]
        order.append(rng.choice(ready))
    order.append(last)
    number = {old: new for new, old in enumerate(order)}
    return Architecture(
        tuple(replace(network.nodes[old], name=f"renamed{old}") for old in order),
        tuple(replace(e, source=number[e.source], target=number[e.target]) for e in network.edges),
        ("relabelled",),
        network.zero_allowed,
        network.head,
    )
