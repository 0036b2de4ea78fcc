"""Patterns in every spelling: variants of each registered one, and random mixes of them.

`variants()` lists every pattern at its defaults and with each parameter at another value;
`composed_patterns()` draws patterns around patterns with random parameters and edge scales, and
`mixed_networks()` networks of them, for tests that promise something of every mix.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from nas.cost.shapes import plan
from nas.errors import ArchitectureError
from nas.topology.edge_scales import EDGE_SCALES, UNSCALED, scale_topology
from nas.topology.graph import Architecture, Edge, Node, Topology
from nas.topology.layers import Shape
from nas.topology.pattern_facts import another_value
from nas.topology.pattern_parameters import MAX_NESTING, MAX_TEXT
from nas.topology.patterns import PATTERNS, Inner, Parameter, Pattern, Word
from nas.topology.stages import add_stage, stage_architecture

SHAPE: Shape = (3, 8, 8)
WIDTH = 12
CLASSES = 5
LARGEST_MIX = 60
"""Nodes of a drawn mix; larger ones are not drawn."""

Draw = Any


@dataclass(frozen=True)
class Mix:
    """A pattern, a size it exists for, the operation of its open nodes, and its edge scale."""

    pattern: str
    size: int
    operation: str = "conv1x1"
    edge_scale: str = UNSCALED

    def topology(self) -> Topology:
        """Return the wiring with its gains."""
        return scale_topology(PATTERNS.get(self.pattern).wire(self.size), self.edge_scale)


def mixed_network(mixes: Sequence[Mix]) -> Architecture:
    """Return the network of several stages in a row, each at half the resolution before."""
    nodes, edges = [Node(name="input")], list[Edge]()
    for number, mix in enumerate(mixes):
        width = WIDTH * (number + 1)
        edges.append(Edge(len(nodes) - 1, len(nodes)))
        nodes.append(
            Node("conv3x3", width=width, stride=min(2, number + 1), name=f"stage{number}.entry")
        )
        add_stage(
            nodes,
            edges,
            mix.topology(),
            name=f"stage{number}",
            width=width,
            operation=partial(_always, mix.operation),
        )
    return Architecture(tuple(nodes), tuple(edges), tuple(mix.pattern for mix in mixes))


def _always(operation: str, _: str) -> str:
    return operation


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
    return [another_value(parameter)]


@st.composite
def composed_patterns(draw: Draw, levels: int = 3) -> Mix:
    """Draw a pattern, up to `levels` deep, with random parameters, a small size and a scale."""
    text = draw(_spellings(levels))
    assume(text.count("(") <= MAX_NESTING and len(text) <= MAX_TEXT)
    pattern = PATTERNS.get(text)
    sizes = [size for size in range(1, 19) if pattern.exists(size)][:4]
    assume(sizes)
    size = draw(st.sampled_from(sizes))
    assume(pattern.wire(size).num_nodes <= LARGEST_MIX)
    operation = draw(st.sampled_from(("conv1x1", "conv3x3", "bn_relu_conv1x1", "separable3x3")))
    return Mix(pattern.name, size, operation, draw(st.sampled_from([UNSCALED, *EDGE_SCALES])))


@st.composite
def mixed_networks(draw: Draw) -> Architecture:
    """Draw a network of one or two composed patterns that `plan` accepts at `SHAPE`.

    Widths that channel groups do not divide and images too small to pool are not drawn.
    """
    network = mixed_network(draw(st.lists(composed_patterns(), min_size=1, max_size=2)))
    assume(_fits(network))
    return network


def _fits(architecture: Architecture) -> bool:
    try:
        plan(architecture, SHAPE)
    except ArchitectureError as error:
        if any(each in str(error) for each in ("does not divide", "the resolution drops")):
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
            inner = draw(_spellings(levels - 1))
            assume(not (parameter.fixed and "free" in inner))
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
