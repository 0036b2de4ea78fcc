"""All cells of a space up to isomorphism: wirings of a bounded size with labelled inner vertices.

Wirings grow vertex by vertex. Every new vertex takes any set of inputs among those before it, and
of wirings that are the same up to renaming one is kept, by the exact form of
`nas.topology.canonical`; so a class is reached from each of its drawings and kept once. Labels are
put on afterwards: of the labellings that an automorphism of the wiring maps onto each other the
smallest is kept. Labelling first and comparing all results would give the same cells at a hundred
times the work.

NAS-Bench-101 (Ying et al. 2019, arXiv:1902.09635) is `enumerate_cells(7, 9, 3 operations)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from nas.errors import TopologyError
from nas.topology.canonical import LabelledGraph
from nas.topology.canonical_batch import canonical_forms
from nas.topology.graph import Topology
from nas.topology.graph_batch import GraphBatch

Matrices = NDArray[np.uint8]
"""Adjacency matrices, `(wirings, size, size)`, above the diagonal: 1 from row to column."""

MAX_VERTICES = 8
MAX_BYTES = 1 << 28
"""Size of the largest array of matrices or labellings that is tried."""

INPUT, OUTPUT = "input", "output"


@final
@dataclass(frozen=True, eq=False)
class Cells:
    """The cells with one number of vertices, one of each isomorphism class.

    Args:
        operations: What an inner vertex may compute.
        wirings: The wirings without labels, `(wirings, size, size)`.
        wiring: Number of each cell's wiring, `(cells,)`.
        chosen: Number of the operation of each inner vertex, `(cells, size - 2)`.
    """

    operations: tuple[str, ...]
    wirings: Matrices
    wiring: NDArray[np.int64]
    chosen: NDArray[np.int8]

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.wiring)

    @property
    def size(self) -> int:
        """Vertices of each cell, the input (the first) and the output (the last) included."""
        return int(self.wirings.shape[1])

    def graph(self, index: int) -> LabelledGraph:
        """Return a cell; its input and output are labelled `input` and `output`."""
        return self.batch(index, index + 1).graph(0)

    def topology(self, index: int) -> Topology:
        """Return the wiring of a cell, without its operations."""
        pairs = np.argwhere(self.wirings[self.wiring[index]]).tolist()
        return Topology(self.size, frozenset((source, target) for source, target in pairs))

    def batch(self, start: int = 0, stop: int | None = None) -> GraphBatch:
        """Return the cells from `start` on and before `stop`."""
        chosen = self.chosen[start:stop]
        vertices = np.zeros((len(chosen), self.size), np.int64)
        vertices[:, 1:-1] = chosen + 2
        vertices[:, -1] = 1
        labels = (INPUT, OUTPUT, *(f"operation {name}" for name in self.operations))
        return GraphBatch.from_adjacency(labels, vertices, self.wirings[self.wiring[start:stop]])


def enumerate_cells(
    max_vertices: int, max_edges: int, operations: Sequence[str]
) -> Iterator[Cells]:
    """Yield the cells with 2, 3, ..., `max_vertices` vertices.

    Every vertex of a cell lies on a path from its input to its output, so none could be pruned.

    Args:
        max_vertices: Vertices, the input and the output included.
        max_edges: Edges.
        operations: What an inner vertex may compute, each name once.

    Raises:
        TopologyError: If there are fewer than 2 vertices or more than `MAX_VERTICES`, no edge is
            allowed, operations are missing or named twice, or there are too many cells.
    """
    _check_limits(max_vertices, max_edges, operations)
    return _cells_by_size(max_vertices, max_edges, tuple(operations))


def _cells_by_size(
    max_vertices: int, max_edges: int, operations: tuple[str, ...]
) -> Iterator[Cells]:
    for size in range(2, max_vertices + 1):
        wirings = enumerate_wirings(size, max_edges)
        yield _labelled(wirings, operations)


def enumerate_wirings(size: int, max_edges: int) -> Matrices:
    """Return one wiring of each class: every vertex on a path from the first to the last.

    Args:
        size: Vertices, the input and the output included.
        max_edges: Edges.

    Raises:
        TopologyError: If there are fewer than 2 vertices or more than `MAX_VERTICES`, no edge is
            allowed, or there are too many wirings.
    """
    _check_limits(size, max_edges, ("any",))
    found: Matrices = np.zeros((1, 1, 1), np.uint8)
    for vertex in range(1, size):
        grown = _grown(found, last=vertex == size - 1)
        sinks = (grown.sum(axis=2) == 0).sum(axis=1)
        # Each vertex without a target needs an edge of its own still, and so do later ones.
        missing = sinks + (size - 1 - vertex) - 1
        grown = grown[grown.sum(axis=(1, 2)) + missing <= max_edges]
        found = _distinct(grown, last=vertex == size - 1)
    return found


def _grown(found: Matrices, *, last: bool) -> Matrices:
    """Add a vertex in all ways; the last one is fed by every vertex that feeds no other."""
    size = found.shape[1]
    _check_bytes(f"Wirings of {size + 1} vertices", len(found) * 2**size * (size + 1) ** 2)
    sets = np.array(list(itertools.product((0, 1), repeat=size)), np.uint8)[1:]
    grown = np.zeros((len(found), len(sets), size + 1, size + 1), np.uint8)
    grown[:, :, :size, :size] = found[:, None]
    grown[:, :, :size, size] = sets
    grown = grown.reshape(-1, size + 1, size + 1)
    if not last:
        return grown
    unfed: NDArray[np.bool_] = (grown[:, :size].sum(axis=2) == 0).any(axis=1)
    return grown[~unfed]


def _distinct(wirings: Matrices, *, last: bool) -> Matrices:
    """Keep the first wiring of every class."""
    vertices = np.full(wirings.shape[:2], 1)
    vertices[:, 0] = 0
    if last:
        vertices[:, -1] = 2
    batch = GraphBatch.from_adjacency((INPUT, "inner", OUTPUT), vertices, wirings)
    first: dict[bytes, int] = {}
    for index, form in enumerate(canonical_forms(batch)):
        first.setdefault(form, index)
    return wirings[list(first.values())]


def _labelled(wirings: Matrices, operations: tuple[str, ...]) -> Cells:
    """Put operations on the inner vertices, once per orbit under the wiring's automorphisms."""
    inner = wirings.shape[1] - 2
    kinds = len(operations)
    _check_bytes(f"Cells of {inner + 2} vertices", (len(wirings) + 8 * inner) * kinds**inner)
    labellings = np.array(list(itertools.product(range(kinds), repeat=inner)), np.int8)
    labellings = labellings.reshape(kinds**inner, inner)
    kept = np.ones((len(wirings), len(labellings)), bool)
    weights = kinds ** np.arange(inner - 1, -1, -1)
    number = labellings @ weights  # 0, 1, 2, ...: their order
    for permutation in itertools.permutations(range(inner)):
        moved = [0, *(vertex + 1 for vertex in permutation), inner + 1]
        symmetric = (wirings[:, moved][:, :, moved] == wirings).all(axis=(1, 2))
        if symmetric.any():
            kept[symmetric] &= number <= labellings[:, permutation] @ weights
    wiring, chosen = np.nonzero(kept)
    return Cells(operations, wirings, wiring, labellings[chosen])


def _check_limits(max_vertices: int, max_edges: int, operations: Sequence[str]) -> None:
    if not 2 <= max_vertices <= MAX_VERTICES:
        raise TopologyError(
            f"Cells of {max_vertices} vertices cannot be enumerated: a cell has an input and an "
            f"output, and beyond {MAX_VERTICES} vertices there are too many.",
            fix=f"Ask for 2 to {MAX_VERTICES} vertices.",
        )
    if max_edges < 1:
        raise TopologyError(f"A cell with {max_edges} edges connects nothing; allow at least 1.")
    if not operations or len(set(operations)) < len(operations):
        raise TopologyError(
            f"Operations {list(operations)}: at least one is needed, and each is named once."
        )
    if len(operations) > np.iinfo(np.int8).max:
        raise TopologyError(f"{len(operations)} operations are too many; at most 127 are possible.")


def _check_bytes(what: str, needed: int) -> None:
    if needed > MAX_BYTES:
        raise TopologyError(
            f"{what} need {needed / 2**30:.1f} GiB at once, more than {MAX_BYTES / 2**30:.2f}.",
            fix="Allow fewer vertices, edges or operations.",
        )
