"""All cells of NAS-Bench-101, counted, beside a search through all drawings with a hash.

The space: at most 7 vertices, 9 edges and 3 operations, every vertex between input and output
(Ying et al. 2019, arXiv:1902.09635). Its 423,624 cells are the oracle, size by size. The reference
draws every labelled graph and keeps one of each Weisfeiler-Lehman hash of networkx; it is feasible
up to 5 vertices, where both sides are timed and every cell of one must be a cell of the other.
The ratio is reference / ours on that part; the seconds of the whole space are ours alone.

    python benchmarks/nasbench101_enumeration.py [--small] [--record]
"""

from __future__ import annotations

import functools
import itertools
import statistics
import warnings

import harness
import networkx as nx

from nas.topology.canonical import LabelledGraph, canonical_form
from nas.topology.canonical_batch import canonical_forms
from nas.topology.enumeration import enumerate_cells

PUBLISHED = {2: 1, 3: 6, 4: 84, 5: 2_441, 6: 62_010, 7: 359_082}
OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
MAX_VERTICES, MAX_EDGES = 7, 9
REFERENCE_VERTICES = 5


def reference(max_vertices: int) -> dict[str, nx.DiGraph[int]]:
    """Return a drawing per hash, of all drawings with at most `max_vertices` vertices."""
    found: dict[str, nx.DiGraph[int]] = {}
    for size in range(2, max_vertices + 1):
        pairs = list(itertools.combinations(range(size), 2))
        for mask in range(1 << len(pairs)):
            edges = [pair for place, pair in enumerate(pairs) if mask >> place & 1]
            fed, feeding = {pair[1] for pair in edges}, {pair[0] for pair in edges}
            if len(edges) > MAX_EDGES or len(fed) < size - 1 or len(feeding) < size - 1:
                continue
            for inner in itertools.product(OPERATIONS, repeat=size - 2):
                graph: nx.DiGraph[int] = nx.DiGraph(edges)
                labels = ("input", *(f"operation {name}" for name in inner), "output")
                nx.set_node_attributes(graph, dict(enumerate(labels)), "label")
                key = nx.weisfeiler_lehman_graph_hash(graph, node_attr="label", iterations=3)
                found.setdefault(key, graph)
    return found


def ours(max_vertices: int) -> list[int]:
    """Return the number of cells with 2, 3, ..., `max_vertices` vertices."""
    return [len(cells) for cells in enumerate_cells(max_vertices, MAX_EDGES, OPERATIONS)]


def check() -> None:
    """Hold the counts against the published ones, and the small cells against the reference's.

    Raises:
        SystemExit: If they differ.
    """
    if ours(MAX_VERTICES) != list(PUBLISHED.values()):
        raise SystemExit(f"the counts are {ours(MAX_VERTICES)}, published {PUBLISHED}")
    theirs = set()
    for graph in reference(REFERENCE_VERTICES).values():
        labels = tuple(graph.nodes[vertex]["label"] for vertex in range(len(graph)))
        theirs.add(canonical_form(LabelledGraph(labels, tuple((s, t, "") for s, t in graph.edges))))
    mine = [
        form
        for cells in enumerate_cells(REFERENCE_VERTICES, MAX_EDGES, OPERATIONS)
        for form in canonical_forms(cells.batch())
    ]
    if len(set(mine)) != len(mine) or set(mine) != theirs:
        raise SystemExit(f"{len(mine)} cells here, {len(theirs)} by the reference")
    print(f"{sum(PUBLISHED.values()):,} cells; the {len(mine):,} smallest are the reference's")


def main() -> None:
    parser = harness.arguments(__doc__)
    options = parser.parse_args()
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    print(f"networkx {nx.__version__}")
    # A notice that directed hashes changed with networkx 3.5 comes with every call.
    warnings.filterwarnings("ignore", category=UserWarning, module="networkx")
    check()
    rounds = 1 if options.small else 5
    sides = [functools.partial(call, REFERENCE_VERTICES) for call in (reference, ours)]
    theirs, mine = harness.interleave(sides, rounds=rounds, warm_up=0)
    row = harness.ratio_row(f"cells of at most {REFERENCE_VERTICES} vertices", theirs, mine)
    harness.print_row(row)
    whole = harness.interleave([functools.partial(ours, MAX_VERTICES)], rounds=rounds, warm_up=0)
    seconds = statistics.median(whole[0])
    print(f"{sum(PUBLISHED.values()):,} cells in {seconds:.2f} s")
    harness.finish(
        "nasbench101_enumeration",
        [row],
        unit="x (hash of every drawing / ours)",
        threads=options.threads,
        record=options.record,
        more={"cells": sum(PUBLISHED.values()), "seconds": round(seconds, 3)},
    )


if __name__ == "__main__":
    main()
