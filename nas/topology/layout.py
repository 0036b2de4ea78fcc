"""Where to draw the nodes of a graph: layers from the input down, and lanes within a layer.

A node's rank is the length of the longest path that leads to it, so every edge runs downwards. Its
lane is the free one nearest to the mean lane of what it reads (the barycentre rule of Sugiyama et
al. 1981). No two nodes share a place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nas.topology.graph import Architecture, Topology


@final
@dataclass(frozen=True)
class Layout:
    """A place per node.

    Args:
        ranks: Layer of every node, the input in layer 0.
        lanes: Column of every node within its layer, from 0.
    """

    ranks: tuple[int, ...]
    lanes: tuple[int, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the places as plain JSON data."""
        return {
            "ranks": list(self.ranks),
            "lanes": list(self.lanes),
            "num_ranks": max(self.ranks) + 1,
            "num_lanes": max(self.lanes) + 1,
        }


def layout(graph: Topology | Architecture) -> Layout:
    """Return a place for every node; a nested cell takes one."""
    sources = graph_sources(graph)
    ranks: list[int] = []
    for read in sources:
        ranks.append(1 + max((ranks[source] for source in read), default=-1))
    rows: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
    for node, rank in enumerate(ranks):
        rows[rank].append(node)
    lanes = [0] * len(sources)
    for row in rows:
        wanted = {
            node: sum(lanes[source] for source in sources[node]) / max(1, len(sources[node]))
            for node in row
        }
        taken: set[int] = set()
        for node in sorted(row, key=lambda node: (wanted[node], node)):
            lanes[node] = _nearest_free(round(wanted[node]), taken)
            taken.add(lanes[node])
    return Layout(tuple(ranks), tuple(lanes))


def graph_sources(graph: Topology | Architecture) -> list[tuple[int, ...]]:
    """Return the nodes that every node reads, oldest first, each once."""
    if isinstance(graph, Topology):
        return [graph.sources(node) for node in range(graph.num_nodes)]
    return [
        tuple(dict.fromkeys(edge.source for edge in graph.inputs(node)))
        for node in range(len(graph.nodes))
    ]


def _nearest_free(wanted: int, taken: set[int]) -> int:
    for distance in range(len(taken) + 1):
        for lane in (wanted + distance, wanted - distance):
            if lane >= 0 and lane not in taken:
                return lane
    raise AssertionError("a lane is free within as many steps as lanes are taken")
