"""The hash colours of `nas.topology.canonical` for many graphs at once, and the order they give.

Arrays have the graphs last, so that one instruction treats one vertex of all graphs. Vertices are
visited in their numbers' order, which must be a topological one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.topology.canonical import DOWN, MAX_PASSES, STEP, UP, text_hash
from nas.topology.graph_batch import GraphBatch, Integers

Words = NDArray[np.uint64]

_STEP = np.uint64(STEP)
_SHIFTS = tuple(np.uint64(count) for count in (29, 31, 32))


def batch_order(
    batch: GraphBatch, excluded: Integers
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the canonical order of the vertices of every graph, and whether it is one.

    Args:
        batch: Graphs of `size` vertices.
        excluded: Graphs whose edges run against their vertices' order; they get no order.

    Returns:
        Vertices in order, `(graphs, size)`, and per graph whether that order is canonical: all
        colours differ, or those that agree belong to twins.
    """
    counts = _edge_counts(batch)
    hashes = np.array([text_hash(label) for label in batch.labels], np.uint64)
    colours = np.ascontiguousarray(hashes[batch.vertices.T])
    codes = [np.uint64(text_hash(label)) for label in batch.edge_labels]
    _refine(colours, counts, codes)
    rows = np.ascontiguousarray(colours.T)
    order = np.argsort(rows, axis=1, kind="stable")
    ranked = np.take_along_axis(rows, order, axis=1)
    alike = ranked[:, 1:] == ranked[:, :-1]
    finished = ~alike.any(axis=1)
    finished[excluded] = True  # no search for twins among them
    for_twins = np.flatnonzero(~finished)
    if len(for_twins):
        twins = _only_twins(batch, counts, order, alike, for_twins)
        finished[for_twins] = twins
        chosen = for_twins[twins]
        order[chosen] = _twins_last(order[chosen], alike[chosen])
    finished[excluded] = False
    return order, finished


def _edge_counts(batch: GraphBatch) -> Words:
    """Return how many edges run between two vertices: `(edge labels, size, size, graphs)`."""
    graphs, sources, targets, labels = batch.edges
    shape = (len(batch.edge_labels), batch.size, batch.size, len(batch))
    places = ((labels * batch.size + sources) * batch.size + targets) * len(batch) + graphs
    counted = np.bincount(places, minlength=int(np.prod(shape)))
    return counted.astype(np.int64, copy=False).view(np.uint64).reshape(shape)


def _refine(colours: Words, counts: Words, codes: list[np.uint64]) -> None:
    """Pass along and against the edges until no pass tells more vertices of a graph apart.

    Every graph stops where its single form stops: after the same number of passes.
    """
    size, graphs = colours.shape
    active = np.arange(graphs)
    distinct = _distinct(colours)
    for turn in range(MAX_PASSES):
        few = len(active) * 2 < graphs
        own = colours[:, active] if few else colours.copy()
        edges = counts[..., active] if few else counts
        if turn % 2 == 0:
            _pass(own, edges, codes, np.uint64(DOWN), range(size))
        else:
            _pass(own, edges.swapaxes(1, 2), codes, np.uint64(UP), range(size - 1, -1, -1))
        own = own if few else own[:, active]
        colours[:, active] = own
        now = _distinct(own)
        going = now < size
        if turn > 0:
            going &= now != distinct[active]
        distinct[active] = now
        active = active[going]
        if not len(active):
            return


def _distinct(colours: Words) -> NDArray[np.int64]:
    """Return the number of colours of every graph."""
    rows = np.sort(np.ascontiguousarray(colours.T), axis=1)
    steps: NDArray[np.int64] = np.count_nonzero(rows[:, 1:] != rows[:, :-1], axis=1)
    return steps + 1


def _pass(
    colours: Words, counts: Words, codes: list[np.uint64], salt: np.uint64, order: range
) -> None:
    """Mix into every colour the new colours of its neighbours on one side."""
    shift_29, shift_31, shift_32 = _SHIFTS
    totals = np.zeros_like(colours)
    products = np.empty_like(colours)
    mixed, shifted = np.empty_like(colours[0]), np.empty_like(colours[0])
    forward = order.step > 0
    for vertex in order:
        colour = colours[vertex]
        colour *= salt
        np.multiply(totals[vertex], _STEP, out=mixed)
        colour += mixed
        colour ^= np.right_shift(colour, shift_29, out=shifted)
        colour *= salt
        colour ^= np.right_shift(colour, shift_32, out=shifted)
        rest = slice(vertex + 1, None) if forward else slice(0, vertex)
        for edges, code in zip(counts, codes, strict=True):
            np.add(colour, code, out=mixed)
            mixed *= _STEP
            mixed ^= np.right_shift(mixed, shift_31, out=shifted)
            totals[rest] += np.multiply(edges[vertex, rest], mixed, out=products[rest])


def _only_twins(
    batch: GraphBatch,
    counts: Words,
    order: NDArray[np.int64],
    alike: NDArray[np.bool_],
    graphs: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Tell which of `graphs` have equal colours on vertices with equal labels and edges only."""
    row, place = np.nonzero(alike[graphs])
    graph = graphs[row]
    first, second = order[graph, place], order[graph, place + 1]
    same = batch.vertices[graph, first] == batch.vertices[graph, second]
    same &= (counts[:, first, :, graph] == counts[:, second, :, graph]).all(axis=(1, 2))
    same &= (counts[:, :, first, graph] == counts[:, :, second, graph]).all(axis=(0, 1))
    twins = np.ones(len(graphs), bool)
    twins[row[~same]] = False
    return twins


def _twins_last(order: NDArray[np.int64], alike: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Put vertices with a colour of their own first, as the exact search does."""
    shared = np.zeros(order.shape, bool)
    shared[:, 1:] |= alike
    shared[:, :-1] |= alike
    return np.take_along_axis(order, np.argsort(shared, axis=1, kind="stable"), axis=1)
