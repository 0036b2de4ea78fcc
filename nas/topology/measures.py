"""Numbers that describe a wiring: paths, their lengths, in-degrees. Plain integers, no sampling.

A path runs from the input to the output along edges; its length is the number of operations on
it, so joins, identities and skips count nothing. All paths are counted by dynamic programming over
polynomials in the length, so their number may be astronomically large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nas.topology.graph import Architecture, Topology
from nas.topology.operations import OPERATIONS

Weighted = list[list[tuple[int, int]]]
"""Per node: its sources, and the operations on the edge from there."""


@final
@dataclass(frozen=True)
class Measures:
    """What there is to say about one wiring.

    Args:
        nodes: Nodes, input and output included.
        edges: Edges that carry something.
        operations: Nodes and edges that compute something, those of cells included.
        paths: Paths from input to output.
        length_moments: Sums over all paths of length, length^2 and length^3.
        longest_path: Operations on the longest path.
        shortest_path: Operations on the shortest path.
        in_degrees: Nodes by number of inputs: `{degree: nodes}`, the input node left out.
        max_in_degree: Largest number of inputs of a node.
    """

    nodes: int
    edges: int
    operations: int
    paths: int
    length_moments: tuple[int, int, int]
    longest_path: int
    shortest_path: int
    in_degrees: dict[int, int]
    max_in_degree: int

    def to_dict(self) -> dict[str, object]:
        """Return the measures as plain JSON data."""
        return {
            "nodes": self.nodes,
            "edges": self.edges,
            "operations": self.operations,
            "paths": self.paths,
            "length_moments": list(self.length_moments),
            "longest_path": self.longest_path,
            "shortest_path": self.shortest_path,
            "in_degrees": {str(degree): count for degree, count in self.in_degrees.items()},
            "max_in_degree": self.max_in_degree,
        }


def measures(graph: Topology | Architecture) -> Measures:
    """Return the measures of a wiring.

    In an architecture a nested cell counts with its own paths.
    """
    sources, _ = _read(graph)
    spectrum = path_lengths(graph)
    degrees = [len(entries) for entries in sources[1:]]
    moments = [
        sum(count * length**power for length, count in spectrum.items()) for power in (1, 2, 3)
    ]
    return Measures(
        nodes=len(sources),
        edges=sum(degrees),
        operations=_operations(graph),
        paths=sum(spectrum.values()),
        length_moments=(moments[0], moments[1], moments[2]),
        longest_path=max(spectrum, default=0),
        shortest_path=min(spectrum, default=0),
        in_degrees={degree: degrees.count(degree) for degree in sorted(set(degrees))},
        max_in_degree=max(degrees, default=0),
    )


def path_lengths(graph: Topology | Architecture) -> dict[int, int]:
    """Return how many paths from input to output there are of each length: `{length: paths}`."""
    sources, own = _read(graph)
    reach: list[dict[int, int]] = [{0: 1}]
    for node in range(1, len(sources)):
        merged: dict[int, int] = {}
        for source, extra in sources[node]:
            for length, count in reach[source].items():
                merged[length + extra] = merged.get(length + extra, 0) + count
        reach.append(_times(merged, own[node]))
    return dict(sorted(reach[-1].items()))


def path_count(graph: Topology | Architecture) -> int:
    """Return the number of paths from input to output."""
    return sum(path_lengths(graph).values())


def longest_path(graph: Topology | Architecture) -> int:
    """Return the number of operations on the longest path."""
    return max(path_lengths(graph), default=0)


def _times(left: dict[int, int], right: dict[int, int]) -> dict[int, int]:
    product: dict[int, int] = {}
    for length, count in left.items():
        for more, times in right.items():
            product[length + more] = product.get(length + more, 0) + count * times
    return product


def _read(graph: Topology | Architecture) -> tuple[Weighted, list[dict[int, int]]]:
    """Return the weighted sources of every node, and the path lengths through the node itself."""
    if isinstance(graph, Topology):
        computing = set(graph.operations)
        plain = [[(source, 0) for source in graph.sources(n)] for n in range(graph.num_nodes)]
        return plain, [{int(node in computing): 1} for node in range(graph.num_nodes)]
    sources: Weighted = []
    lengths: list[dict[int, int]] = []
    for index, node in enumerate(graph.nodes):
        live = [edge for edge in graph.inputs(index) if not _zero(edge.transform)]
        sources.append([(edge.source, int(_computes(edge.transform))) for edge in live])
        if index == 0:
            lengths.append({0: 1})
        elif node.cell is not None:
            lengths.append(path_lengths(node.cell))
        else:
            lengths.append({} if _zero(node.operation) else {int(_computes(node.operation)): 1})
    return sources, lengths


def _operations(graph: Topology | Architecture) -> int:
    if isinstance(graph, Topology):
        return len(graph.operations)
    total = sum(_computes(edge.transform) for edge in graph.edges)
    for node in graph.nodes[1:]:
        total += _computes(node.operation) if node.cell is None else _operations(node.cell)
    return total


def _computes(name: str) -> bool:
    return name in OPERATIONS and bool(OPERATIONS.get(name).layers)


def _zero(name: str) -> bool:
    return name in OPERATIONS and OPERATIONS.get(name).zero
