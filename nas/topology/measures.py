"""Numbers that describe a wiring: paths, their lengths, in-degrees. Plain integers, no sampling.

A path runs from the input to the output along edges; its length is the number of operations on
it, so joins, identities and skips count nothing. No path is ever walked: `measures` adds up moments
of the length node by node, in time linear in the edges, so the number of paths may be
astronomically large. Only `path_lengths` spells out the polynomial of all lengths. How much of a
signal goes which way is asked in `nas.topology.path_mass`, how long tensors live in
`nas.topology.liveness`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar, final

from nas.topology.graph import Architecture, Edge, Topology
from nas.topology.liveness import last_reads
from nas.topology.operations import OPERATIONS

Paths = TypeVar("Paths")
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
    sources, own = _read(graph, path_moments, _BASIC)
    degrees = [len(entries) for entries in sources[1:]]
    found = _moments(sources, own)
    return Measures(
        nodes=len(sources),
        edges=sum(degrees),
        operations=_operations(graph),
        paths=found.paths,
        length_moments=found.sums,
        longest_path=found.longest,
        shortest_path=found.shortest,
        in_degrees={degree: degrees.count(degree) for degree in sorted(set(degrees))},
        max_in_degree=max(degrees, default=0),
    )


@final
class PathMoments(NamedTuple):
    """Paths of a wiring: how many, the sums of length, length^2, length^3, and the extremes."""

    paths: int
    sums: tuple[int, int, int]
    longest: int
    shortest: int


_NO_PATH = PathMoments(0, (0, 0, 0), 0, 0)


def path_moments(graph: Topology | Architecture) -> PathMoments:
    """Return count and length moments of all paths, in time linear in the edges."""
    return _moments(*_read(graph, path_moments, _BASIC))


def _moments(sources: Weighted, own: list[PathMoments]) -> PathMoments:
    reach = [_of_length(0)]
    for node in range(1, len(sources)):
        merged = _NO_PATH
        for source, extra in sources[node]:
            merged = _either(merged, _behind(reach[source], _of_length(extra)))
        reach.append(_behind(merged, own[node]))
    return reach[-1]


def _of_length(length: int) -> PathMoments:
    return PathMoments(1, (length, length**2, length**3), length, length)


_BASIC = (_NO_PATH, _of_length(0), _of_length(1))


def _either(left: PathMoments, right: PathMoments) -> PathMoments:
    """Return the moments of two disjoint sets of paths."""
    if not (left.paths and right.paths):
        return left if left.paths else right
    first, second, third = (one + two for one, two in zip(left.sums, right.sums, strict=True))
    return PathMoments(
        left.paths + right.paths,
        (first, second, third),
        max(left.longest, right.longest),
        min(left.shortest, right.shortest),
    )


def _behind(left: PathMoments, right: PathMoments) -> PathMoments:
    """Return the moments of every path of one set continued by every path of the other."""
    if not (left.paths and right.paths):
        return _NO_PATH
    count, (one, two, three) = left.paths, left.sums
    times, (first, second, third) = right.paths, right.sums
    return PathMoments(
        count * times,
        (
            one * times + count * first,
            two * times + 2 * one * first + count * second,
            three * times + 3 * two * first + 3 * one * second + count * third,
        ),
        left.longest + right.longest,
        left.shortest + right.shortest,
    )


def path_lengths(graph: Topology | Architecture) -> dict[int, int]:
    """Return how many paths from input to output there are of each length: `{length: paths}`.

    The polynomial of a node is one large integer with a fixed number of bits per coefficient, wide
    enough for the count of all paths: sums of such integers are sums of polynomials.
    """
    width = path_moments(graph).paths.bit_length() // 8 + 1
    packed = _packed(graph, 8 * width)
    digits = packed.to_bytes(packed.bit_length() // 8 + 1, "little")
    counts = (
        int.from_bytes(digits[place : place + width], "little")
        for place in range(0, len(digits), width)
    )
    return {length: count for length, count in enumerate(counts) if count}


def _packed(graph: Topology | Architecture, width: int) -> int:
    """Return the polynomial of all paths with `width` bits per coefficient.

    Polynomials that do not reach the output may overflow; nothing reads them.
    """
    sources, own = _read(graph, lambda cell: _packed(cell, width), (0, 1, 1 << width))
    gone = last_reads([[source for source, _ in entries] for entries in sources])
    reach: dict[int, int] = {0: 1}
    for node in range(1, len(sources)):
        merged = sum(
            reach[source] << (extra * width) if extra else reach[source]
            for source, extra in sources[node]
        )
        power = own[node].bit_length() - 1
        single = own[node] == 1 << max(0, power)
        reach[node] = merged << power if single else merged * own[node]
        for source in gone[node]:
            reach.pop(source)
    return reach[len(sources) - 1]


def path_count(graph: Topology | Architecture) -> int:
    """Return the number of paths from input to output."""
    return path_moments(graph).paths


def longest_path(graph: Topology | Architecture) -> int:
    """Return the number of operations on the longest path."""
    return path_moments(graph).longest


def _read(
    graph: Topology | Architecture,
    inside: Callable[[Architecture], Paths],
    basic: tuple[Paths, Paths, Paths],
) -> tuple[Weighted, list[Paths]]:
    """Return the weighted sources of every node, and the paths through the node itself.

    `inside` measures a nested architecture; `basic` are the paths through nothing, through a node
    that computes nothing, and through an operation.
    """
    nothing, passing, computing = basic
    if isinstance(graph, Topology):
        plain = [[(source, 0) for source in graph.sources(n)] for n in range(graph.num_nodes)]
        active = active_nodes(graph)
        return plain, [computing if n in active else passing for n in range(graph.num_nodes)]
    sources: Weighted = []
    own: list[Paths] = []
    cells: dict[Architecture, Paths] = {}
    for index, node in enumerate(graph.nodes):
        live = [edge for edge in graph.inputs(index) if carries(edge)]
        sources.append([(edge.source, int(computes(edge.transform))) for edge in live])
        if node.cell is not None:
            if node.cell not in cells:
                cells[node.cell] = inside(node.cell)
            own.append(cells[node.cell])
        elif index and yields_zeros(node.operation):
            own.append(nothing)
        else:
            own.append(computing if index and computes(node.operation) else passing)
    return sources, own


def carries(edge: Edge) -> bool:
    """Tell whether an edge carries anything: no absent operation, no fixed factor of zero."""
    return not yields_zeros(edge.transform) and (edge.gain.learned or edge.gain.value != 0)


def active_nodes(topology: Topology) -> set[int]:
    """Return the nodes of a wiring that compute something, whether a space may choose it or not."""
    fixed = [topology.rule(node).operation or "identity" for node in range(topology.num_nodes)]
    return {*topology.operations, *(node for node, name in enumerate(fixed) if computes(name))}


def _operations(graph: Topology | Architecture) -> int:
    if isinstance(graph, Topology):
        return len(active_nodes(graph))
    total = sum(computes(edge.transform) for edge in graph.edges)
    cells = Counter(node.cell for node in graph.nodes[1:] if node.cell is not None)
    total += sum(count * _operations(cell) for cell, count in cells.items())
    return total + sum(node.cell is None and computes(node.operation) for node in graph.nodes[1:])


def computes(name: str) -> bool:
    """Tell whether a name is that of an operation that computes something."""
    return name in OPERATIONS and bool(OPERATIONS.get(name).layers)


def yields_zeros(name: str) -> bool:
    """Tell whether a name is that of the absent operation."""
    return name in OPERATIONS and OPERATIONS.get(name).zero
