"""Rewrites of residual chains: the same operations, waiting less for one another.

A residual chain is a row of blocks `x <- x + f_i(x)`. Letting f_i read an earlier state of the row
shortens the critical path and changes neither parameters nor multiply-adds:

- `lagged`: f_i reads the state `lag` blocks earlier (Ladder Residual, Zhang et al. 2025,
  arXiv:2501.06589), so that `lag + 1` blocks need not wait for each other;
- `side_by_side`: groups of `ways` blocks read the state in front of the group (parallel pairs,
  Touvron et al. 2022, arXiv:2203.09795; FFN Fusion, Bercovich et al. 2025, arXiv:2503.18908);
- `first_order`: all blocks of a row read its first state, which leaves the first-order terms of
  the expansion of the row (Bermeitinger et al. 2023, arXiv:2309.08414).

The function changes; how much accuracy that costs is to be measured. A row ends where the shape
changes, since a block cannot read a state of another shape. Patterns of the same names wire such
graphs from nothing: rewriting a `residual` wiring gives networks with their structural ids.
What makes one wide branch of parallel ones, exactly, is in `nas.topology.fusion`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TypeVar, final

from nas.errors import ConfigError, TopologyError
from nas.registry import suggest
from nas.topology.graph import Architecture, Edge, Link, Topology
from nas.topology.residual_nodes import residual_nodes
from nas.topology.symbolic import architecture_shapes

Graph = TypeVar("Graph", Architecture, Topology)


@final
@dataclass(frozen=True)
class Block:
    """One step of a residual chain.

    Args:
        state: Node whose output goes around the block.
        entries: Edges by which the block reads the state, the one around it left out.
        join: Node that adds the block's output to the state.
    """

    state: int
    entries: tuple[tuple[int, int], ...]
    join: int


def lagged(graph: Graph, lag: int = 1) -> Graph:
    """Let every block of a residual chain read the state `lag` blocks earlier.

    With `lag` 1 the critical path of a row of L blocks is ceil(L / 2) instead of L.

    Raises:
        TopologyError: If there is no residual chain, or the lag is negative.
    """
    if lag < 0:
        raise TopologyError(f"A lag of {lag} reads the future.", fix="Use 0 or more.")
    return _reading(graph, lambda place: max(0, place - lag))


def side_by_side(graph: Graph, ways: int = 2) -> Graph:
    """Let `ways` blocks at a time read the same state: `x <- x + f_1(x) + f_2(x)`.

    Raises:
        TopologyError: If there is no residual chain, or `ways` is below 1.
    """
    if ways < 1:
        raise TopologyError(f"There are no {ways} ways side by side.", fix="Use 1 or more.")
    return _reading(graph, lambda place: place - place % ways)


def first_order(graph: Graph) -> Graph:
    """Let all blocks of a row read its first state: `x <- x + f_1(x) + ... + f_n(x)`.

    Raises:
        TopologyError: If there is no residual chain.
    """
    return _reading(graph, lambda place: 0)


REWRITES: dict[str, tuple[Callable[..., Architecture], str, int]] = {
    "first_order": (first_order, "", 0),
    "lagged": (lagged, "lag", 1),
    "side_by_side": (side_by_side, "ways", 2),
}
"""The rewrites by name, with the name and the default of their number, if they take one."""


def rewrite(architecture: Architecture, text: str) -> Architecture:
    """Return the architecture after the rewrite `NAME` or `NAME:NUMBER`, such as `lagged:2`.

    Raises:
        ConfigError: If there is no such rewrite, or the number is none.
        TopologyError: If there is no residual chain.
    """
    name, colon, number = text.partition(":")
    if name not in REWRITES:
        near = suggest(name, list(REWRITES))
        hint = f"Did you mean '{near}'? " if near else ""
        raise ConfigError(
            f"There is no rewrite '{name[:40]}'.", fix=f"{hint}Known: {', '.join(REWRITES)}."
        )
    call, parameter, default = REWRITES[name]
    if not parameter and colon:
        raise ConfigError(f"The rewrite '{name}' takes no number.", fix=f"Write {name}.")
    if colon and not (number.isascii() and number.isdecimal() and len(number) < 6):
        raise ConfigError(
            f"'{text[:40]}' gives no {parameter}: it is a whole number.",
            fix=f"Write for example {name}:{default}.",
        )
    return call(architecture, int(number or default)) if parameter else call(architecture)


def residual_rows(graph: Architecture | Topology) -> list[list[Block]]:
    """Return the rows of residual blocks, each on states of one shape.

    A block counts where nothing outside reads its inside, and its inside reads nothing but the
    state. The last block of a row may change the shape, the others do not.
    """
    pairs = [(edge.source, edge.target) for edge in _edges(graph)]
    shapes = _shapes(graph)
    rows: list[list[Block]] = []
    for node in residual_nodes(graph):
        states = {edge.source for edge in node.skips}
        state = min(states)
        block = _block(state, node.node, pairs)
        if block is None:
            continue
        before = rows[-1][-1] if rows else None
        if before is None or before.join != state or shapes[before.state] != shapes[state]:
            rows.append([])
        rows[-1].append(block)
    return rows


def _block(state: int, join: int, pairs: list[tuple[int, int]]) -> Block | None:
    """Return the block between a state and a join, None where it is not closed."""
    inside = set(range(state + 1, join))
    for source, target in pairs:
        reads_outside = target in inside and not state <= source < join
        is_read_outside = source in inside and not state < target <= join
        if reads_outside or is_read_outside:
            return None
    entries = tuple(sorted({(s, t) for s, t in pairs if s == state and t in inside}))
    return Block(state, entries, join) if entries else None


def _reading(graph: Graph, which: Callable[[int], int]) -> Graph:
    """Let the block at each place of a row read the state at place `which(place)` of the row."""
    rows = residual_rows(graph)
    if not rows:
        raise TopologyError(
            "There is no residual chain to rewrite: no block x + f(x) with nothing else around it.",
            fix="Start from a wiring such as the pattern 'residual', or from a ResNet.",
        )
    sources: dict[tuple[int, int], int] = {}
    for row in rows:
        states = [block.state for block in row]
        for place, block in enumerate(row):
            for entry in block.entries:
                sources[entry] = states[which(place)]
    return _rewired(graph, sources)


def _rewired(graph: Graph, sources: dict[tuple[int, int], int]) -> Graph:
    if isinstance(graph, Architecture):
        edges = (
            replace(edge, source=sources.get((edge.source, edge.target), edge.source))
            for edge in graph.edges
        )
        return replace(graph, edges=tuple(edges))
    moved = {pair: (sources.get(pair, pair[0]), pair[1]) for pair in graph.edges}
    links: dict[tuple[int, int], Link] = {
        moved[pair]: graph.link(pair) for pair in graph.edges if graph.link(pair) != Link()
    }
    optional = frozenset(moved[pair] for pair in graph.optional)
    return replace(graph, edges=frozenset(moved.values()), optional=optional, links=links)


def _edges(graph: Architecture | Topology) -> list[Edge]:
    if isinstance(graph, Architecture):
        return list(graph.edges)
    return [Edge(*pair) for pair in sorted(graph.edges)]


def _shapes(graph: Architecture | Topology) -> list[Hashable]:
    """Return something per node that is equal for equal shapes of outputs."""
    if isinstance(graph, Architecture):
        return list(architecture_shapes(graph))
    widths, strides = [(1, 1)], [1]
    for node in range(1, graph.num_nodes):
        rule, newest = graph.rule(node), graph.sources(node)[-1]
        passes = node in graph.joins or rule.operation is not None
        widths.append(widths[newest] if passes else rule.width)
        strides.append(strides[newest] * rule.stride)
    return list(zip(widths, strides, strict=True))
