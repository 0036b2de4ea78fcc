"""Forms of many graphs at once are the forms of the graphs one by one, whatever they are."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import architectures

from nas.errors import TopologyError
from nas.topology import canonical_batch
from nas.topology.canonical import LabelledGraph, canonical_form
from nas.topology.canonical_batch import MAX_SIZE, canonical_forms
from nas.topology.graph import Architecture
from nas.topology.graph_batch import GraphBatch
from nas.topology.identity import graph_ids, structural_id, structural_ids

LABELS = ("a", "b", "conv3x3 16/2", "é\udc80")
EDGE_LABELS = ("", "x", "a label of several words")


@st.composite
def random_graphs(draw: st.DrawFn, size: int) -> LabelledGraph:
    """Draw a graph with parallel edges, in any order of its vertices and edges."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    place = list(range(size))
    if draw(st.booleans()):
        rng.shuffle(place)
    density, labels = draw(st.floats(0, 1)), LABELS[: draw(st.integers(1, 4))]
    edge_labels = EDGE_LABELS[: draw(st.integers(1, 3))]
    edges = [
        (place[source], place[target], rng.choice(edge_labels))
        for source, target in itertools.combinations(range(size), 2)
        for _ in range(2)
        if rng.random() < density * (0.9, 0.2)[_]
    ]
    rng.shuffle(edges)
    return LabelledGraph(tuple(rng.choice(labels) for _ in place), tuple(edges))


@given(data=st.data())
def test_forms_at_once_are_the_forms_one_by_one(data: st.DataObject) -> None:
    sizes = st.integers(1, 9)
    graphs = data.draw(st.lists(sizes.flatmap(random_graphs), max_size=4))
    many = data.draw(sizes)
    graphs += data.draw(st.lists(random_graphs(many), min_size=8, max_size=12))
    assert canonical_forms(graphs) == [canonical_form(graph) for graph in graphs]


@given(data=st.data())
def test_a_batch_gives_its_graphs_back(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 6))
    graphs = data.draw(st.lists(random_graphs(size), min_size=1, max_size=5))
    batch = GraphBatch.from_graphs(graphs)
    assert [batch.graph(index) for index in range(len(batch))] == graphs
    middle = len(graphs) // 2
    assert [batch.part(middle, len(graphs)).graph(0)] == graphs[middle : middle + 1]


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = random_dags(200, 6, 8, labels=2)
    whole = canonical_forms(graphs)
    monkeypatch.setattr(canonical_batch, "MAX_CHUNK", 7)
    assert canonical_forms(graphs) == whole


def random_dags(count: int, size: int, edges: int, labels: int) -> list[LabelledGraph]:
    rng = random.Random(size)
    pairs = list(itertools.combinations(range(size), 2))
    return [
        LabelledGraph(
            tuple(rng.choice("abcdefgh"[:labels]) for _ in range(size)),
            tuple((*pair, "") for pair in rng.sample(pairs, edges)),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize(("size", "edges"), [(8, 14), (16, 53), (32, 196), (MAX_SIZE + 1, 150)])
def test_relabelling_keeps_every_id_of_a_batch(size: int, edges: int) -> None:
    rng, graphs = random.Random(1), random_dags(30, size, edges, labels=3)
    assert len(set(graph_ids(graphs))) == len(graphs)
    for order_kept in (True, False):
        others = [moved(graph, rng, order_kept) for graph in graphs]
        assert graph_ids(others) == graph_ids(graphs)


def moved(graph: LabelledGraph, rng: random.Random, order_kept: bool) -> LabelledGraph:
    """Rename the vertices; with `order_kept` edges still run from lower to higher numbers."""
    place = list(range(len(graph.labels)))
    rng.shuffle(place)
    if order_kept:
        graph_order = nx.DiGraph([(s, t) for s, t, _ in graph.edges])
        graph_order.add_nodes_from(place)
        order = nx.lexicographical_topological_sort(graph_order, key=place.__getitem__)
        place = [number for _, number in sorted((v, n) for n, v in enumerate(order))]
    labels = [""] * len(place)
    for old, new in enumerate(place):
        labels[new] = graph.labels[old]
    edges = [(place[source], place[target], label) for source, target, label in graph.edges]
    rng.shuffle(edges)
    return LabelledGraph(tuple(labels), tuple(edges))


def rings(*sizes: int) -> LabelledGraph:
    """Two layers joined along rings: every vertex of a layer has two edges."""
    total, edges, start = sum(sizes), [], 0
    for size in sizes:
        for step in range(size):
            edges += [
                (start + step, total + start + step, ""),
                (start + step, total + start + (step + 1) % size, ""),
            ]
        start += size
    return LabelledGraph(("c",) * 2 * total, tuple(edges))


def two_wirings_of_ten() -> list[LabelledGraph]:
    """An input, two layers of four and an output: one ring of eight, or two of four."""
    wirings = []
    for ring in (rings(4), rings(2, 2)):
        edges = [(s + 1, t + 1, "") for s, t, _ in dict.fromkeys(ring.edges)]
        edges += [(0, 1 + vertex, "") for vertex in range(4)]
        edges += [(5 + vertex, 9, "") for vertex in range(4)]
        wirings.append(LabelledGraph(("in", *"c" * 8, "out"), tuple(edges)))
    return wirings


def test_the_two_wirings_of_ten_nodes_that_an_iterated_hash_confuses_are_told_apart() -> None:
    pair = two_wirings_of_ten()
    hashes = set()
    for graph in pair:
        plain = nx.Graph([(s, t) for s, t, _ in graph.edges])
        nx.set_node_attributes(plain, dict(enumerate(graph.labels)), "label")
        hashes.add(nx.weisfeiler_lehman_graph_hash(plain, node_attr="label", iterations=20))
    assert len(hashes) == 1
    forms = canonical_forms(pair * 8)
    assert len(set(forms)) == 2
    assert forms == [canonical_form(graph) for graph in pair * 8]


def test_regular_graphs_are_told_apart_at_once() -> None:
    sizes = [(8,), (4, 4), (3, 5), (2, 3, 3), (2, 2, 4)]
    rng = random.Random(0)
    drawings = [moved(rings(*size), rng, False) for size in sizes for _ in range(4)]
    forms = canonical_forms(drawings)
    assert [len(set(forms[4 * i : 4 * i + 4])) for i in range(5)] == [1] * 5
    assert len(set(forms)) == 5


def test_isomorphic_small_graphs_are_found_by_trying_all_renamings() -> None:
    graphs = random_dags(60, 5, 5, labels=2)
    smallest = [min(_renamed(graph)) for graph in graphs]
    forms = canonical_forms(graphs)
    for first, second in itertools.combinations(range(len(graphs)), 2):
        assert (forms[first] == forms[second]) is (smallest[first] == smallest[second])
    assert 1 < len(set(forms)) < len(graphs)


def _renamed(graph: LabelledGraph) -> list[tuple[tuple[str, ...], tuple[tuple[int, int], ...]]]:
    found = []
    for place in itertools.permutations(range(len(graph.labels))):
        labels = [label for _, label in sorted(zip(place, graph.labels, strict=True))]
        edges = sorted((place[source], place[target]) for source, target, _ in graph.edges)
        found.append((tuple(labels), tuple(edges)))
    return found


def all_graphs(inner: int) -> tuple[GraphBatch, np.ndarray]:
    """Return all graphs along an order with 2 labels, and which have all nodes on paths."""
    size = inner + 2
    pairs = np.array(list(itertools.combinations(range(size), 2)))
    masks = np.arange(1 << len(pairs))
    adjacency = np.zeros((len(masks), size, size), np.uint8)
    adjacency[:, pairs[:, 0], pairs[:, 1]] = masks[:, None] >> np.arange(len(pairs)) & 1
    labellings = np.array(list(itertools.product((2, 3), repeat=inner)))
    vertices = np.zeros((len(labellings), size), np.int64)
    vertices[:, 1:-1], vertices[:, -1] = labellings, 1
    fed = adjacency[:, :, 1:].any(axis=1).all(axis=1)
    feeding = adjacency[:, :-1].any(axis=2).all(axis=1)
    batch = GraphBatch.from_adjacency(
        ("input", "output", "a", "b"),
        np.tile(vertices, (len(masks), 1)),
        np.repeat(adjacency, len(labellings), axis=0),
    )
    return batch, np.repeat(fed & feeding, len(labellings))


@pytest.mark.parametrize(
    ("inner", "counts"),
    [(2, (256, 200, 38)), (3, (8_192, 4_464, 744)), (4, (524_288, 191_988, 30_146))],
)
def test_all_small_graphs_fall_into_the_published_classes(
    inner: int, counts: tuple[int, int, int]
) -> None:
    batch, connected = all_graphs(inner)
    forms = canonical_forms(batch)
    valid = set(itertools.compress(forms, connected.tolist()))
    assert (len(forms), len(set(forms)), len(valid)) == counts


@given(networks=st.lists(architectures(), max_size=10))
def test_ids_at_once_are_the_ids_one_by_one(networks: list[Architecture]) -> None:
    assert structural_ids(networks) == [structural_id(network) for network in networks]


SCRIPT = """
import random
from test_canonical_batch import random_dags
from nas.topology.identity import graph_ids
print(*graph_ids(random_dags(20, 8, 14, labels=3)))
"""


@pytest.mark.parametrize("seed", ["1", "77"])
def test_other_processes_find_the_same_ids(seed: str) -> None:
    paths = [*sys.path, __file__.rpartition("/")[0]]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(paths)},
    )
    assert done.stdout.split() == graph_ids(random_dags(20, 8, 14, labels=3))


# Bad input.

PAIR = np.zeros((1, 2), np.int64)
EDGE = np.array([[0], [0], [1], [0]])


def test_a_cycle_in_a_batch_is_refused() -> None:
    graph = LabelledGraph(("a", "b", "c"), ((0, 1, ""), (1, 2, ""), (2, 1, "")))
    with pytest.raises(TopologyError, match=r"cycle among the vertices \[1, 2\]"):
        canonical_forms([graph] * 10)


@pytest.mark.parametrize("target", [7, -1, 1_000])
def test_an_edge_to_a_missing_vertex_in_a_batch_is_refused(target: int) -> None:
    graph = LabelledGraph(("a", "b"), ((0, target, ""),))
    with pytest.raises(TopologyError, match=r"names targets from .* there are 2"):
        canonical_forms([graph] * 10)


def test_graphs_of_several_sizes_are_no_batch() -> None:
    with pytest.raises(TopologyError, match=r"of one size; these have \[1, 2\][\s\S]*any size"):
        GraphBatch.from_graphs([LabelledGraph(("a",), ()), LabelledGraph(("a", "b"), ())])


@pytest.mark.parametrize(
    ("labels", "vertices", "edges", "message"),
    [
        (("a",), PAIR[0], EDGE, r"vertices of shape \(2,\)"),
        (("a",), PAIR, EDGE[:3], r"edges of shape \(3, 1\)"),
        (("a", "a"), PAIR, EDGE, "names a label twice"),
        (("a",), PAIR + 1, EDGE, r"vertices from 1 to 1; there are 1"),
        (("a",), PAIR, EDGE + 1, r"graphs from 1 to 1; there are 1"),
        (("a",), np.zeros((2, 2), int), np.tile(EDGE, 2) - [[-1, 0], *[[0, 0]] * 3], "not sorted"),
    ],
)
def test_arrays_that_are_no_batch_are_refused(
    labels: tuple[str, ...], vertices: np.ndarray, edges: np.ndarray, message: str
) -> None:
    with pytest.raises(TopologyError, match=message):
        GraphBatch(labels, vertices, ("",), edges)


def test_matrices_of_another_size_are_refused() -> None:
    with pytest.raises(TopologyError, match=r"Matrices of shape \(1, 3, 3\)"):
        GraphBatch.from_adjacency(("a",), PAIR, np.zeros((1, 3, 3)))
