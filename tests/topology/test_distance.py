"""Edit distance: a metric on small graphs, that of networkx; honest bounds on large ones."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scale import scaled
from strategies import INPUT_SHAPE, architectures, renumbered

from nas.cost.count import cost
from nas.topology.distance import difference, edit_distance, labelled
from nas.topology.distance_search import edge_steps, node_steps
from nas.topology.edits import random_edits
from nas.topology.flatten import flatten
from nas.topology.graph import Architecture, Edge, Gain, Node
from nas.topology.identity import structural_id

SEEDS = st.integers(0, 2**32 - 1)
SMALL = architectures(max_nodes=5, cells=0)
ONE_STEP = ("add_edge", "remove_edge", "change_operation", "change_merge", "change_gain")


def check(network: Architecture) -> object:
    return cost(network, INPUT_SHAPE, 10)


def exact(first: Architecture, second: Architecture) -> int:
    found = edit_distance(first, second)
    assert found.exact
    return found.upper


def by_networkx(first: Architecture, second: Architecture) -> float:
    """Return the same distance from networkx's own search."""

    def graph(network: Architecture) -> nx.DiGraph:
        wiring = labelled(flatten(network))
        result = nx.DiGraph()
        for node, label in enumerate(wiring.nodes):
            end = "input" if node == 0 else "output" if node == wiring.size - 1 else ""
            result.add_node(node, label=label, end=end)
        for ends, labels in wiring.edges.items():
            result.add_edge(*ends, labels=labels)
        return result

    def substitution(one: dict, other: dict) -> float:
        return node_steps(one["label"], other["label"]) if one["end"] == other["end"] else 1e6

    return nx.graph_edit_distance(
        graph(first),
        graph(second),
        node_subst_cost=substitution,
        node_del_cost=lambda data: 1,
        node_ins_cost=lambda data: 1,
        edge_subst_cost=lambda one, other: edge_steps(one["labels"], other["labels"]),
        edge_del_cost=lambda data: len(data["labels"]),
        edge_ins_cost=lambda data: len(data["labels"]),
    )


def test_it_is_the_distance_that_networkx_finds() -> None:
    rng = np.random.default_rng(0)
    for count in range(scaled(60)):
        first, second = drawn(rng, 5), drawn(rng, 5)
        assert exact(first, second) == by_networkx(first, second), count


def drawn(rng: np.random.Generator, largest: int) -> Architecture:
    """Draw a small network of few kinds of nodes."""
    size = int(rng.integers(2, largest + 1))
    nodes = [
        Node(),
        *(Node(str(rng.choice(["conv3x3", "relu", "identity"]))) for _ in range(1, size)),
    ]
    pairs = {(int(rng.integers(0, n)), n) for n in range(1, size)}
    pairs |= {(s, t) for t in range(size) for s in range(t) if rng.random() < 0.3}
    read = {source for source, _ in pairs}
    pairs |= {(n, size - 1) for n in range(size - 1) if n not in read}
    return Architecture(tuple(nodes), tuple(Edge(*pair) for pair in pairs))


def test_it_is_a_metric() -> None:
    """Symmetric, zero on isomorphic graphs alone, and no way round is shorter."""
    rng = np.random.default_rng(1)
    for _ in range(scaled(1000)):
        a, b, c = (drawn(rng, 5) for _ in range(3))
        ab, bc, ac = exact(a, b), exact(b, c), exact(a, c)
        assert ac <= ab + bc
        assert exact(b, a) == ab
        if ab == 0:
            assert structural_id(a) == structural_id(b)


@given(network=architectures(max_nodes=6, cells=0), seed=SEEDS)
def test_renumbering_is_no_step_where_the_shapes_stay(network: Architecture, seed: int) -> None:
    other = renumbered(network, random.Random(seed))
    found = edit_distance(network, other)
    if found.upper == 0:
        assert structural_id(other) == structural_id(network)
    assert edit_distance(network, network).upper == 0
    plain = Architecture(
        tuple(Node(node.operation) for node in network.nodes),
        tuple({Edge(edge.source, edge.target) for edge in network.edges}),
    )
    if len({(node.operation, node.stride) for node in plain.nodes}) == 1:
        assert edit_distance(plain, renumbered(plain, random.Random(seed))).upper == 0


def test_renumbered_networks_of_one_shape_are_no_step_apart() -> None:
    rng = np.random.default_rng(2)
    for seed in range(scaled(200)):
        network = drawn(rng, 7)
        same = Architecture(
            tuple(Node("relu" if n else "identity") for n in range(len(network.nodes))),
            network.edges,
        )
        assert exact(same, renumbered(same, random.Random(seed))) == 0


@given(network=architectures(max_nodes=6, cells=0, merges=("sum", "mean")), seed=SEEDS)
def test_no_edit_of_an_edge_or_a_label_is_far(network: Architecture, seed: int) -> None:
    for edit in random_edits(network, np.random.default_rng(seed), check=check, edits=ONE_STEP):
        child = edit.apply(network)
        found = edit_distance(network, child)
        assert found.lower >= 1
        # An edge may take over the shape of nodes behind it; else the edit is the one step.
        changes = labels_that_follow(network, child)
        assert found.upper <= max(1, changes)
        assert found.upper == edit_distance(child, network).upper


def labels_that_follow(first: Architecture, second: Architecture) -> int:
    """Return how many edges between equal ends carry another label, and one for the edit."""
    ours, theirs = labelled(first).edges, labelled(second).edges
    common = ours.keys() & theirs.keys()
    return 2 + sum(edge_steps(ours[ends], theirs[ends]) for ends in common)


BASE = Architecture(
    (Node(), Node("conv3x3", width=8), Node("conv3x3"), Node("relu"), Node()),
    (Edge(0, 1), Edge(1, 2), Edge(2, 3), Edge(1, 4), Edge(3, 4)),
)


@pytest.mark.parametrize(
    ("changed", "steps"),
    [
        (BASE, 0),
        (Architecture(BASE.nodes, (*BASE.edges, Edge(1, 3))), 1),
        (Architecture(BASE.nodes, (*BASE.edges[:4], Edge(3, 4, "relu"))), 1),
        (
            Architecture(
                BASE.nodes,
                (
                    Edge(0, 1),
                    Edge(1, 2),
                    Edge(2, 3),
                    Edge(1, 4, gain=Gain("scalar", 0)),
                    Edge(3, 4),
                ),
            ),
            1,
        ),
        (Architecture((*BASE.nodes[:3], Node("max_pool3x3"), Node()), BASE.edges), 1),
        (Architecture((*BASE.nodes[:4], Node(merge="mean")), BASE.edges), 1),
        (Architecture((*BASE.nodes[:4], Node("relu", merge="mean")), BASE.edges), 2),
        # A node between 3 and 4: itself, and three edges.
        (
            Architecture(
                (*BASE.nodes[:4], Node("conv3x3"), Node()),
                (Edge(0, 1), Edge(1, 2), Edge(2, 3), Edge(1, 5), Edge(3, 4), Edge(4, 5)),
            ),
            4,
        ),
    ],
)
def test_single_changes_have_the_distance_one_expects(changed: Architecture, steps: int) -> None:
    assert exact(BASE, changed) == steps
    assert exact(changed, BASE) == steps


def test_heads_and_exits_are_steps() -> None:
    assert exact(BASE, replace(BASE, head="none")) == 1
    nodes = (BASE.nodes[0], replace(BASE.nodes[1], exit=True), *BASE.nodes[2:])
    assert exact(BASE, replace(BASE, nodes=nodes)) == 1


def test_names_and_ties_are_of_no_account() -> None:
    named = Architecture(
        tuple(Node(n.operation, width=n.width, name=f"n{i}") for i, n in enumerate(BASE.nodes)),
        BASE.edges,
    )
    assert exact(BASE, named) == 0


def test_a_large_network_and_its_child_are_told_apart_quickly() -> None:
    nodes, edges = [Node(name="input"), Node("conv3x3", width=8, name="stem")], [Edge(0, 1)]
    for block in range(100):
        end = len(nodes) - 1
        nodes += [Node("conv3x3", name=f"a{block}"), Node("conv3x3", name=f"b{block}")]
        nodes += [Node("relu", name=f"join{block}")]
        edges += [Edge(end, end + 1), Edge(end + 1, end + 2)]
        edges += [Edge(end, end + 3), Edge(end + 2, end + 3)]
    parent = Architecture(tuple(nodes), tuple(edges))
    edits = random_edits(
        parent,
        np.random.default_rng(3),
        check=check,
        count=3,
        edits=("add_edge", "change_operation"),
    )
    child = parent
    for edit in edits:
        child = edit.apply(child)
    started = time.process_time()
    found = edit_distance(parent, child, effort=200)
    assert 1 <= found.lower <= found.upper <= 3
    assert time.process_time() - started < 5
    found = edit_distance(parent, BASE, effort=200)
    assert not found.exact
    assert found.lower < found.upper


def test_what_differs_is_named() -> None:
    longer = Architecture(
        (*BASE.nodes[:3], Node("max_pool3x3"), Node("conv1x1"), Node()),
        (Edge(0, 1), Edge(1, 2), Edge(2, 3), Edge(1, 5), Edge(3, 4), Edge(4, 5)),
    )
    found = edit_distance(BASE, longer)
    told = difference(BASE, longer, found.pairs)
    assert found.upper == 5
    assert (told.removed_nodes, told.added_nodes) == ([], [4])
    assert told.changed == [(3, 3)]
    assert told.removed_edges == [Edge(3, 4)]
    assert told.added_edges == [Edge(3, 4), Edge(4, 5)]
    steps = len(told.added_nodes) + len(told.changed) + len(told.removed_edges)
    assert steps + len(told.added_edges) == found.upper


def test_the_order_of_inputs_counts_where_a_merge_tells_them_apart() -> None:
    def network(merge: str, *operations: str) -> Architecture:
        nodes = (Node(), *(Node(name) for name in operations), Node(merge=merge))
        return Architecture(nodes, (Edge(0, 1), Edge(0, 2), Edge(1, 3), Edge(2, 3)))

    for merge, steps in (("sum", 0), ("stack", 2), ("weighted_zero", 2)):
        there = network(merge, "conv3x3", "max_pool3x3")
        back = network(merge, "max_pool3x3", "conv3x3")
        assert exact(there, back) == steps
        assert (structural_id(there) == structural_id(back)) == (steps == 0)


def test_parallel_edges_are_counted() -> None:
    twice = Architecture(BASE.nodes, (*BASE.edges, Edge(3, 4, "relu"), Edge(3, 4, "identity")))
    assert exact(BASE, twice) == 2
    assert Counter(labelled(twice).edges[3, 4]).total() == 3
