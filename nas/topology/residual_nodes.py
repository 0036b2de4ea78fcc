"""Which edges of a wiring are skips and which are branches; one definition for all who ask.

*An edge is a skip if another way leads from its source to its target*; the other edges into the
same node are its branches. A node with a skip and a branch is a *residual node*. So a chain has no
residual node, nor has the join of a fractal, whose inputs all come from operations side by side;
the edge past a block is a skip whatever computes its source.

Three kinds of edges are neither: those of the port `mask` (they gate, they are not added), those
that carry a part of the channels (what goes around is other channels), and optional ones as skips
(a space may switch them off, and the branch alone would be left).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from nas.topology.graph import WHOLE, Architecture, Edge, Topology
from nas.topology.merges import MERGES


@final
@dataclass(frozen=True)
class ResidualNode:
    """A node at which something goes around something else.

    Args:
        node: Its number.
        skips: Edges into it past which another way leads; at least one.
        branches: The other edges that are added there; at least one.
    """

    node: int
    skips: tuple[Edge, ...]
    branches: tuple[Edge, ...]


def residual_nodes(graph: Topology | Architecture) -> tuple[ResidualNode, ...]:
    """Return the residual nodes of a wiring in order; nested cells are not looked into."""
    if isinstance(graph, Architecture):
        adding = [adds(node.merge) for node in graph.nodes]
        return _found(graph.edges, frozenset(), adding)
    edges: list[Edge] = []
    for pair in sorted(graph.edges):
        link = graph.link(pair)
        edges.append(Edge(*pair, link.transform, link.port, link.part, link.gain))
    optional = frozenset(edge for edge in edges if (edge.source, edge.target) in graph.optional)
    merges = [graph.rule(node).merge or graph.merge for node in range(graph.num_nodes)]
    return _found(edges, optional, [adds(merge) for merge in merges])


def adds(merge: str) -> bool:
    """Tell whether every input enters a merge on its own, so that a factor on one weighs it."""
    return merge in MERGES and MERGES.get(merge).weight not in ("module",)


def _found(
    edges: Sequence[Edge], optional: frozenset[Edge], adding: Sequence[bool]
) -> tuple[ResidualNode, ...]:
    into: list[list[Edge]] = [[] for _ in adding]
    for edge in edges:
        into[edge.target].append(edge)
    before = [0] * len(adding)  # per node: the nodes that reach it, as bits
    found: list[ResidualNode] = []
    for node in range(1, len(adding)):
        sources = {edge.source for edge in into[node]}
        behind_sources = 0
        for source in sources:
            behind_sources |= before[source]
        before[node] = behind_sources | sum(1 << source for source in sources)
        if len(sources) < 2 or not adding[node]:
            continue
        added = [edge for edge in into[node] if edge.port != "mask"]
        around = [edge for edge in added if behind_sources >> edge.source & 1]
        skips = tuple(edge for edge in around if edge.part == WHOLE and edge not in optional)
        branches = tuple(edge for edge in added if not behind_sources >> edge.source & 1)
        if skips and branches:
            found.append(ResidualNode(node, skips, branches))
    return tuple(found)
