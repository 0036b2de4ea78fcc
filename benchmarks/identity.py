"""What exact ids of labelled graphs cost, beside an inexact hash of the same graphs.

Random acyclic graphs with five labels get their exact ids here, and the Weisfeiler-Lehman hash of
networkx with three iterations there. Before the clock starts the ids are compared with an exact
isomorphism search on graphs small enough for many of them to be the same, and the classes both
sides find in the timed graphs are counted. Ratios are networkx / ours: above 1 is a gain. `arrays`
are graphs that were made as arrays, `objects` a list of `LabelledGraph`s, `single` one call per
graph; networkx reads graphs it was given as its own objects.

    python benchmarks/identity.py [--small] [--record]
"""

from __future__ import annotations

import functools
import itertools
import random
import warnings
from collections.abc import Callable, Sequence

import harness
import networkx as nx

from nas.topology.canonical import LabelledGraph
from nas.topology.graph_batch import GraphBatch
from nas.topology.identity import graph_ids

SIZES = ((8, 14), (16, 53), (32, 196))
"""Nodes and edges."""

GRAPHS = 1_000
LABELS = "abcde"


def random_graphs(size: int, edges: int, count: int, labels: str = LABELS) -> list[LabelledGraph]:
    """Draw graphs with the given number of edges along the order of their vertices."""
    rng = random.Random(size)
    pairs = list(itertools.combinations(range(size), 2))
    return [
        LabelledGraph(
            tuple(rng.choice(labels) for _ in range(size)),
            tuple((*pair, "") for pair in rng.sample(pairs, edges)),
        )
        for _ in range(count)
    ]


def as_networkx(graph: LabelledGraph) -> nx.DiGraph[int]:
    """Return the same graph as networkx reads it."""
    result: nx.DiGraph[int] = nx.DiGraph()
    for vertex, label in enumerate(graph.labels):
        result.add_node(vertex, label=label)
    result.add_edges_from((source, target) for source, target, _ in graph.edges)
    return result


def weisfeiler_lehman(graphs: Sequence[nx.DiGraph[int]]) -> list[str]:
    """Return the reference side's hashes."""
    hashed = functools.partial(nx.weisfeiler_lehman_graph_hash, node_attr="label", iterations=3)
    return [hashed(graph) for graph in graphs]


def check_exactness() -> None:
    """Compare ids with an isomorphism search on every pair of small graphs, relabelled ones too.

    Raises:
        SystemExit: If they disagree anywhere.
    """
    graphs = random_graphs(5, 5, 200, labels="ab")
    ids = graph_ids(graphs)
    theirs = [as_networkx(graph) for graph in graphs]
    same = functools.partial(
        nx.is_isomorphic, node_match=lambda first, second: first["label"] == second["label"]
    )
    pairs = list(itertools.combinations(range(len(graphs)), 2))
    for first, second in pairs:
        if (ids[first] == ids[second]) is not same(theirs[first], theirs[second]):
            raise SystemExit(f"ids disagree with isomorphism: {graphs[first]}, {graphs[second]}")
    print(f"{len(pairs):,} pairs of graphs: equal ids exactly where isomorphic")


def classes(keys: Sequence[str]) -> list[int]:
    """Return for every graph the first one with its key."""
    first: dict[str, int] = {}
    return [first.setdefault(key, index) for index, key in enumerate(keys)]


def main() -> None:
    parser = harness.arguments(__doc__)
    options = parser.parse_args()
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    print(f"networkx {nx.__version__}")
    # A notice that directed hashes changed with networkx 3.5 comes with every call.
    warnings.filterwarnings("ignore", category=UserWarning, module="networkx")
    check_exactness()
    rows, counted, microseconds = [], [], {}
    for size, edges in SIZES:
        graphs = random_graphs(size, edges, GRAPHS)
        batch, theirs = GraphBatch.from_graphs(graphs), [as_networkx(graph) for graph in graphs]
        sides: dict[str, Callable[[], list[str]]] = {
            "networkx": functools.partial(weisfeiler_lehman, theirs),
            "arrays": functools.partial(graph_ids, batch),
            "objects": functools.partial(graph_ids, graphs),
            "single": lambda graphs=graphs: [graph_ids((graph,))[0] for graph in graphs],
        }
        found = {name: classes(side()) for name, side in sides.items()}
        if len({tuple(partition) for partition in found.values()}) > 1:
            raise SystemExit(f"{size} nodes: the sides find different classes")
        rounds = 3 if options.small else 15
        taken = harness.interleave(list(sides.values()), rounds=rounds, warm_up=1)
        seconds = dict(zip(sides, taken, strict=True))
        case = f"{size} nodes, {edges} edges"
        microseconds[case] = {
            name: round(1e6 * sorted(times)[len(times) // 2] / GRAPHS, 2)
            for name, times in seconds.items()
        }
        for name in ("arrays", "objects", "single"):
            row = harness.ratio_row(f"{case}, {name}", seconds["networkx"], seconds[name])
            rows.append(row)
            harness.print_row(row)
            counted += [row] if name != "single" else []
    harness.finish(
        "identity",
        rows,
        unit="x (networkx / ours); worst of arrays and objects",
        threads=options.threads,
        counted=counted,
        record=options.record,
        more={"microseconds_per_graph": microseconds},
    )


if __name__ == "__main__":
    main()
