"""Canonical forms of many graphs at once: the bytes of `canonical_form`, by array arithmetic.

The definition is `nas.topology.canonical`; what is here are the same hashes, the same order and
the same bytes, computed for hundreds of graphs per instruction. Graphs whose vertices stay alike
are finished here where they differ by exchanging twins only (vertices with the same sources and
targets); every other such graph goes to the exact search, one by one. So the result never depends
on which graphs were asked for together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.topology.batch_colours import batch_order
from nas.topology.batch_forms import written_forms
from nas.topology.canonical import LabelledGraph, canonical_form
from nas.topology.graph_batch import GraphBatch

MAX_SIZE = 64
"""Vertices beyond which arrays gain nothing: a graph's matrix outgrows the caches."""

MIN_GRAPHS = 8
"""Graphs of one size below which arrays cost more than they save."""

CHUNK_BYTES = 1 << 21
"""Size of the matrices that are worked on at a time; they should fit a core's cache."""

MAX_CHUNK = 1_024


def canonical_forms(graphs: Sequence[LabelledGraph] | GraphBatch) -> list[bytes]:
    """Return the canonical form of every graph, exactly as `canonical_form` does.

    Args:
        graphs: Graphs of any sizes, or a batch of equally sized ones.

    Raises:
        TopologyError: If a graph has a cycle or an edge to a vertex that is not there.
    """
    if isinstance(graphs, GraphBatch):
        return _batch_forms(graphs)
    by_size: dict[int, list[int]] = {}
    for index, graph in enumerate(graphs):
        by_size.setdefault(len(graph.labels), []).append(index)
    forms = [b""] * len(graphs)
    for size, members in by_size.items():
        chosen = [graphs[index] for index in members]
        if len(members) < MIN_GRAPHS or not 0 < size <= MAX_SIZE:
            found = [canonical_form(graph) for graph in chosen]
        else:
            found = _batch_forms(GraphBatch.from_graphs(chosen))
        for index, form in zip(members, found, strict=True):
            forms[index] = form
    return forms


def _batch_forms(batch: GraphBatch) -> list[bytes]:
    """Finish the graphs chunk by chunk; what the arrays cannot order is searched one by one."""
    kinds = max(1, len(batch.edge_labels))
    matrix = 8 * kinds * batch.size * batch.size
    if not 0 < batch.size <= MAX_SIZE or matrix * MIN_GRAPHS > CHUNK_BYTES:
        return [canonical_form(batch.graph(index)) for index in range(len(batch))]
    step = min(MAX_CHUNK, CHUNK_BYTES // matrix)
    forms: list[bytes] = []
    for start in range(0, len(batch), step):
        part = batch.part(start, min(start + step, len(batch)))
        # What runs against the vertices' order is sorted first, or refused, by the single form.
        graphs, sources, targets, _ = part.edges
        order, finished = batch_order(part, np.unique(graphs[sources >= targets]))
        found = written_forms(part, order)
        for index in np.flatnonzero(~finished).tolist():
            found[index] = canonical_form(part.graph(index))
        forms += found
    return forms
