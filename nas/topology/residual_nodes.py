"""Which edges of a wiring are skips and which are branches; one definition for all who ask.

*An edge is a skip if another way leads from its source to its target*; the other edges into the
same node are its branches. A node with a skip and a branch is a *residual node*. So a chain has no
residual node, nor has the join of a fractal, whose inputs all come from operations side by side;
the edge past a block is a skip whatever computes its source.

A *lagged* stream has no edge past a block: `x_i = x_(i-1) + f(x_(i-2))` (a ladder). So where a sum
has no skip by the rule above, an edge from a residual node that computes nothing is one too, if all
other inputs come from that node's stream: the node, its skips' sources, theirs, and so on.

Three kinds of edges are neither: those of the port `mask` (they gate, they are not added), those
that carry a part of the channels (what goes around is other channels), and optional ones as skips
(a space may switch them off, and the branch alone would be left).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import final

from nas.topology.graph import WHOLE, Architecture, Edge, Topology
from nas.topology.merges import MERGES


@final
@dataclass(frozen=True)
class ResidualNode:
    """A node at which something goes around something else.

    Args:
        node: Its number.
        skips: Edges into it past which another way leads, or of a lagged stream; at least one.
        branches: The other edges that are added there; at least one.
    """

    node: int
    skips: tuple[Edge, ...]
    branches: tuple[Edge, ...]


def residual_nodes(graph: Topology | Architecture) -> tuple[ResidualNode, ...]:
    """Return the residual nodes of a wiring in order; nested cells are not looked into."""
    if isinstance(graph, Architecture):
        places = [
            _Place(node.merge, node.operation == "identity" and node.cell is None)
            for node in graph.nodes
        ]
        return _found(graph.edges, frozenset(), places)
    edges: list[Edge] = []
    for pair in sorted(graph.edges):
        link = graph.link(pair)
        edges.append(Edge(*pair, link.transform, link.port, link.part, link.gain))
    optional = frozenset(edge for edge in edges if (edge.source, edge.target) in graph.optional)
    places = [
        _Place(graph.rule(node).merge or graph.merge, node in graph.joins)
        for node in range(graph.num_nodes)
    ]
    return _found(edges, optional, places)


def adds(merge: str) -> bool:
    """Tell whether every input enters a merge on its own, so that a factor on one weighs it."""
    return merge in MERGES and MERGES.get(merge).weight not in ("module",)


@final
@dataclass(frozen=True)
class _Place:
    """What a node merges by, and whether it does nothing else."""

    merge: str
    is_join: bool

    @property
    def is_sum(self) -> bool:
        return self.merge in MERGES and MERGES.get(self.merge).weight in ("identity", "scalar")


def _found(
    edges: Sequence[Edge], optional: frozenset[Edge], places: Sequence[_Place]
) -> tuple[ResidualNode, ...]:
    into: list[list[Edge]] = [[] for _ in places]
    for edge in edges:
        into[edge.target].append(edge)
    before = _ancestors(into)
    streams: dict[int, int] = {}  # per residual node that computes nothing: its stream, as bits
    found: list[ResidualNode] = []
    for node in range(1, len(places)):
        if len({edge.source for edge in into[node]}) < 2 or not adds(places[node].merge):
            continue
        behind_sources = reduce(or_, (before[edge.source] for edge in into[node]))
        added = [edge for edge in into[node] if edge.port != "mask"]
        around = {edge for edge in added if behind_sources >> edge.source & 1}
        if not around and places[node].is_sum:
            around = _lagged(added, before, streams)
        skips = tuple(e for e in added if e in around and e.part == WHOLE and e not in optional)
        branches = tuple(edge for edge in added if edge not in around)
        if skips and branches:
            found.append(ResidualNode(node, skips, branches))
            if places[node].is_join:
                older = (streams.get(edge.source, 1 << edge.source) for edge in skips)
                streams[node] = reduce(or_, older, 1 << node)
    return tuple(found)


def _ancestors(into: Sequence[Sequence[Edge]]) -> list[int]:
    """Return per node the nodes that reach it, as bits."""
    before = [0] * len(into)
    for node, edges in enumerate(into):
        for edge in edges:
            before[node] |= before[edge.source] | 1 << edge.source
    return before


def _lagged(added: Sequence[Edge], before: Sequence[int], streams: dict[int, int]) -> set[Edge]:
    """Return the edges that carry on a stream which all other inputs come from."""
    onward = {edge for edge in added if edge.source in streams}
    others = [before[edge.source] for edge in added if edge not in onward]
    return {edge for edge in onward if all(streams[edge.source] & reach for reach in others)}
