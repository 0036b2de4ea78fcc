"""Many labelled graphs of one size as arrays: what the batch form of the canonical labelling reads.

The arrays are the graphs themselves, not an approximation: `GraphBatch.graph` gives any of them
back. Whoever makes graphs by the thousand (an enumeration, a benchmark table) builds the arrays at
once; whoever has `LabelledGraph`s leaves the collecting to `GraphBatch.from_graphs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from nas.errors import TopologyError
from nas.topology.canonical import LabelledGraph

Integers = NDArray[np.integer[Any]]


@final
@dataclass(frozen=True, eq=False)
class GraphBatch:
    """Labelled directed acyclic graphs with equally many vertices.

    Args:
        labels: The distinct labels of vertices.
        vertices: Number of each vertex's label, `(graphs, size)`.
        edge_labels: The distinct labels of edges.
        edges: One column per edge, sorted by graph: number of the graph, source, target, number of
            the label; `(4, edges)`. Parallel edges are allowed, repetitions count.

    Raises:
        TopologyError: If the shapes do not agree, labels repeat, an edge names a vertex, graph or
            label that is not there, or the edges are not sorted by graph.
    """

    labels: tuple[str, ...]
    vertices: Integers
    edge_labels: tuple[str, ...]
    edges: Integers

    def __post_init__(self) -> None:
        if self.vertices.ndim != 2 or self.edges.ndim != 2 or self.edges.shape[0] != 4:
            raise TopologyError(
                f"A batch of graphs has vertices of shape {self.vertices.shape} and edges of "
                f"shape {self.edges.shape}; expected (graphs, size) and (4, edges)."
            )
        for labels in (self.labels, self.edge_labels):
            if len(set(labels)) < len(labels):
                raise TopologyError(f"A batch of graphs names a label twice: {labels[:10]}.")
        graphs, size = self.vertices.shape
        _check_range("vertices", self.vertices, len(self.labels))
        limits = (graphs, size, size, len(self.edge_labels))
        names = ("graphs", "sources", "targets", "edge labels")
        for name, row, limit in zip(names, self.edges, limits, strict=True):
            _check_range(name, row, limit)
        if (np.diff(self.edges[0]) < 0).any():
            raise TopologyError("The edges of a batch of graphs are not sorted by graph.")

    def __len__(self) -> int:
        """Return the number of graphs."""
        return int(self.vertices.shape[0])

    @property
    def size(self) -> int:
        """Vertices of each graph."""
        return int(self.vertices.shape[1])

    def graph(self, index: int) -> LabelledGraph:
        """Return one of the graphs."""
        start, stop = np.searchsorted(self.edges[0], (index, index + 1))
        sources, targets, numbers = self.edges[1:, start:stop].tolist()
        return LabelledGraph(
            tuple(self.labels[number] for number in self.vertices[index].tolist()),
            tuple(zip(sources, targets, (self.edge_labels[n] for n in numbers), strict=True)),
        )

    def part(self, start: int, stop: int) -> GraphBatch:
        """Return the graphs from `start` on and before `stop`."""
        first, last = np.searchsorted(self.edges[0], (start, stop))
        edges = self.edges[:, first:last].copy()
        edges[0] -= start
        return GraphBatch(self.labels, self.vertices[start:stop], self.edge_labels, edges)

    @classmethod
    def from_adjacency(
        cls,
        labels: Sequence[str],
        vertices: Integers,
        adjacency: NDArray[Any],
        edge_labels: Sequence[str] = ("",),
    ) -> GraphBatch:
        """Collect graphs given by matrices.

        Args:
            labels: The distinct labels of vertices.
            vertices: Number of each vertex's label, `(graphs, size)`.
            adjacency: 0 where there is no edge from row to column, else 1 more than the number of
                its label; `(graphs, size, size)`.
            edge_labels: The distinct labels of edges.

        Raises:
            TopologyError: If the shapes do not agree or a number has no label.
        """
        if adjacency.shape != (*vertices.shape, vertices.shape[-1]):
            raise TopologyError(
                f"Matrices of shape {adjacency.shape} do not go with vertices of shape "
                f"{vertices.shape}; expected (graphs, size, size) and (graphs, size)."
            )
        places = np.nonzero(adjacency)
        numbers = adjacency[places].astype(np.int64) - 1
        return cls(tuple(labels), vertices, tuple(edge_labels), np.stack([*places, numbers]))

    @classmethod
    def from_graphs(cls, graphs: Sequence[LabelledGraph]) -> GraphBatch:
        """Collect graphs that have equally many vertices.

        Raises:
            TopologyError: If they have not, or if an edge names a vertex that is not there.
        """
        sizes = {len(graph.labels) for graph in graphs}
        if len(sizes) > 1:
            raise TopologyError(
                f"A batch needs graphs of one size; these have {sorted(sizes)} vertices.",
                fix="canonical_forms takes graphs of any size.",
            )
        size = max(sizes, default=0)
        labels, vertices = _numbered([label for graph in graphs for label in graph.labels])
        # One flat list, since taking it apart by slices is cheaper than by edges.
        every = chain.from_iterable(graph.edges for graph in graphs)
        flat: list[Any] = list(chain.from_iterable(every))
        edge_labels, numbers = _numbered(flat[2::3])
        edges = np.empty((4, len(numbers)), np.int64)
        counts = [len(graph.edges) for graph in graphs]
        edges[0] = np.repeat(np.arange(len(graphs)), counts)
        edges[1] = _whole_numbers(flat[0::3])
        edges[2] = _whole_numbers(flat[1::3])
        edges[3] = numbers
        return cls(labels, vertices.reshape(len(graphs), size), edge_labels, edges)


def _whole_numbers(values: list[int]) -> Integers:
    try:
        return np.frombuffer(bytearray(values), np.uint8)  # six times as fast as np.array
    except ValueError:
        return np.array(values, np.int64)


def _numbered(texts: list[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the distinct texts, sorted, and the number of each text among them."""
    distinct = sorted(set(texts))
    if len(distinct) == 1:
        return tuple(distinct), np.zeros(len(texts), np.int64)
    number = {text: place for place, text in enumerate(distinct)}
    numbers = np.fromiter(map(number.__getitem__, texts), np.int64, len(texts))
    return tuple(distinct), numbers


def _check_range(name: str, numbers: Integers, limit: int) -> None:
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < limit):
        raise TopologyError(
            f"A batch of graphs names {name} from {numbers.min()} to {numbers.max()}; "
            f"there are {limit}, numbered from 0."
        )
