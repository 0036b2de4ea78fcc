"""The bytes of canonical forms, for many graphs at once.

A form is a row of short texts: the beginning of each vertex's line and its edges. Sorting one
number per text brings them into their order; each is then looked up as machine words padded with a
byte that no text contains, and one pass over the bytes drops the padding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.topology.canonical import edge_text, encoded, vertex_text
from nas.topology.graph_batch import GraphBatch

_PADDING, _BREAK = b"\xff", b"\xfe"
"""Bytes that never occur in UTF-8: nothing, and the beginning of the next graph."""

_WORD = 8


def written_forms(batch: GraphBatch, order: NDArray[np.int64]) -> list[bytes]:
    """Return the form of every graph for the given order of its vertices.

    Args:
        batch: The graphs.
        order: Vertices in order, `(graphs, size)`.
    """
    places = batch.size * max(1, len(batch.edge_labels))
    words, starts, lengths = _texts(batch)
    texts = _sorted_texts(batch, order)
    is_line = texts == 0
    heads = np.take_along_axis(batch.vertices, order, axis=1).astype(np.int64, copy=False)
    heads[:, 0] += len(batch.labels)
    numbers = texts + (2 * len(batch.labels) - 1)
    numbers[1:][~is_line[:-1]] += places  # an edge behind another one has a comma in front
    numbers[is_line] = heads.ravel()  # line by line, as they were sorted
    if lengths.max() > 1:
        counts = lengths[numbers]
        ends = np.cumsum(counts)
        numbers = np.repeat(starts[numbers] - ends + counts, counts) + np.arange(ends[-1])
    padded: bytes = words[numbers].tobytes()
    return padded.translate(None, _PADDING).split(_BREAK)[1:]


def _sorted_texts(batch: GraphBatch, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the texts of all forms in their order, graph by graph.

    The text 0 is the beginning of a line; an edge has 1 more than the rank of its text. Each
    graph's texts are sorted within a row of their own, which short rows make cheap.
    """
    size, kinds = batch.size, max(1, len(batch.edge_labels))
    bits = (size * kinds + 1).bit_length()
    positions = np.empty(order.shape, np.int32)
    np.put_along_axis(positions, order, np.arange(size, dtype=np.int32)[None], axis=1)
    texts = _edge_ranks(size, kinds, batch.edge_labels)[positions].ravel()
    graphs, sources, targets, labels = batch.edges
    first = graphs * size
    keys = (positions << bits).ravel().take(first + targets)
    origins = first + sources
    keys |= texts.take(origins if kinds == 1 else origins * kinds + labels)
    counts = np.bincount(graphs, minlength=len(batch))
    longest = int(counts.max())
    rows = np.full((len(batch), size + longest), np.iinfo(np.int32).max, np.int32)
    rows[:, :size] = np.arange(size, dtype=np.int32) << bits
    if counts.min() == longest:
        rows[:, size:] = keys.reshape(len(batch), longest)
    else:
        rows[:, size:][np.arange(longest) < counts[:, None]] = keys
    rows.sort(axis=1)
    found = (rows & ((1 << bits) - 1)).ravel()
    if counts.min() < longest:
        found = found[rows.ravel() < np.iinfo(np.int32).max]
    return found.astype(np.int64)


def _edge_texts(size: int, labels: tuple[str, ...]) -> list[str]:
    return [edge_text(position, label) for position in range(size) for label in labels or ("",)]


def _edge_ranks(size: int, kinds: int, labels: tuple[str, ...]) -> NDArray[np.int32]:
    """Return 1 more than the rank of each edge's text, sorted: `(position, edge label)`."""
    texts = _edge_texts(size, labels)
    ranks = np.empty(len(texts), np.int32)
    ranks[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(1, len(texts) + 1)
    return ranks.reshape(size, kinds)


def _texts(
    batch: GraphBatch,
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Return all texts as padded words, and where each begins and how many words it has.

    The order: lines within a graph, lines that begin a graph, edges that begin a line, edges
    behind a comma.
    """
    lines = [encoded(vertex_text(label)) for label in batch.labels]
    edges = [encoded(text) for text in sorted(_edge_texts(batch.size, batch.edge_labels))]
    texts = [b"\n" + line for line in lines] + [_BREAK + line for line in lines]
    texts += edges + [b"," + edge for edge in edges]
    lengths = np.array([-(-len(text) // _WORD) for text in texts], np.int64)
    padded = b"".join(
        text.ljust(int(length) * _WORD, _PADDING)
        for text, length in zip(texts, lengths, strict=True)
    )
    return np.frombuffer(padded, np.uint64), np.cumsum(lengths) - lengths, lengths
