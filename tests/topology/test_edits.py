"""Edits return valid graphs, always; equal generators give equal edits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import INPUT_SHAPE, architectures, topologies

from nas.cost.count import Cost, cost
from nas.errors import ArchitectureError
from nas.topology.edits import EDITS, Vocabulary, crossover, mutate, mutate_topology
from nas.topology.graph import Architecture, Edge, Node, Topology
from nas.topology.patterns import PATTERNS

SEEDS = st.integers(0, 2**32 - 1)


def check(network: Architecture) -> Cost:
    return cost(network, INPUT_SHAPE, 10)


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", sorted(EDITS))
@given(network=architectures(), seed=SEEDS)
def test_every_edit_of_every_network_can_be_computed(
    name: str, network: Architecture, seed: int
) -> None:
    check(mutate(network, generator(seed), check=check, edits=[name]))


@given(network=architectures(), seed=SEEDS, count=st.integers(1, 12))
def test_edits_in_a_row_can_be_computed(network: Architecture, seed: int, count: int) -> None:
    child = mutate(network, generator(seed), check=check, count=count)
    check(child)
    assert child == mutate(network, generator(seed), check=check, count=count)


@given(network=architectures(), seed=SEEDS)
def test_no_edit_gives_the_parent(network: Architecture, seed: int) -> None:
    assert mutate(network, generator(seed), check=check, count=0) is network


@given(first=architectures(), second=architectures(), seed=SEEDS)
def test_every_crossover_can_be_computed(
    first: Architecture, second: Architecture, seed: int
) -> None:
    child = crossover(first, second, generator(seed), check=check)
    check(child)
    assert child == crossover(first, second, generator(seed), check=check)
    names = [node.name for node in child.nodes if node.name]
    assert len(set(names)) == len(names)


def test_a_crossover_joins_a_head_to_a_tail_of_the_same_shape() -> None:
    def chain(*operations: Node) -> Architecture:
        nodes = (Node(), *operations)
        return Architecture(nodes, tuple(Edge(n, n + 1) for n in range(len(operations))))

    wide, narrow = Node("conv3x3", width=8), Node("conv5x5", width=6)
    first = chain(narrow, wide, wide)
    second = chain(narrow, Node("relu"), Node("max_pool3x3"))
    children = {crossover(first, second, generator(seed), check=check) for seed in range(200)}
    # Only a width of 6 fits: behind the first node of the one, in three places of the other.
    pool, relu = Node("max_pool3x3"), Node("relu")
    tails = {chain(narrow, relu, pool), chain(narrow, pool)}
    middles = {chain(narrow, relu, wide, wide)}
    assert tails | middles <= children <= tails | middles | {first}


def test_ties_of_the_two_parents_are_kept_apart() -> None:
    tied = Node("conv3x3", tie="a")
    parent = Architecture((Node(), tied, tied), (Edge(0, 1), Edge(1, 2)))
    children = [crossover(parent, parent, generator(seed), check=check) for seed in range(20)]
    mixed = [child for child in children if [n.tie for n in child.nodes] == [None, "a", "a_2"]]
    assert mixed


def test_without_a_fitting_cut_the_first_parent_comes_back() -> None:
    parent = Architecture((Node(), Node("conv3x3")), (Edge(0, 1),))

    def refuse(network: Architecture) -> None:
        raise ArchitectureError("never")

    assert crossover(parent, parent, generator(0), check=refuse) is parent
    assert mutate(parent, generator(0), check=refuse, count=3) is parent


@given(seed=SEEDS)
def test_edits_respect_the_largest_size(seed: int) -> None:
    network = Architecture((Node(), Node("conv3x3")), (Edge(0, 1),))
    vocabulary = Vocabulary(max_nodes=5)
    child = mutate(network, generator(seed), check=check, count=30, vocabulary=vocabulary)
    assert len(child.nodes) <= 5
    assert len(crossover(child, child, generator(seed), check=check, max_nodes=6).nodes) <= 6


@given(seed=SEEDS)
def test_edits_write_only_what_the_vocabulary_holds(seed: int) -> None:
    vocabulary = Vocabulary(("conv5x5", "relu"), ("concat",), ("auto", "project"))
    network = Architecture((Node(), Node("relu"), Node(merge="concat")), (Edge(0, 1), Edge(1, 2)))
    child = mutate(network, generator(seed), check=check, count=8, vocabulary=vocabulary)
    assert {node.operation for node in child.nodes} <= {"identity", "conv5x5", "relu"}
    assert {edge.transform for edge in child.edges} <= {"auto", "project"}


def test_networks_that_may_hold_zeros_keep_their_nodes() -> None:
    cell = Architecture((Node(),) * 4, (Edge(0, 3), Edge(1, 3)), zero_allowed=True)
    for seed in range(20):
        child = mutate(cell, generator(seed), check=check, edits=["remove_edge", "rewire"])
        assert child.zero_allowed
        assert len(child.nodes) == 4
        assert crossover(cell, child, generator(seed), check=check).zero_allowed


@given(topology=topologies(), seed=SEEDS, count=st.integers(0, 8))
def test_an_edited_wiring_is_a_wiring(topology: Topology, seed: int, count: int) -> None:
    child = mutate_topology(topology, generator(seed), count=count)
    assert child.merge == topology.merge
    assert child == mutate_topology(topology, generator(seed), count=count)
    if count == 0:
        assert child is topology


def test_edits_reach_every_wiring_of_three_operations() -> None:
    """Search from the chain: every set of forward edges that is a wiring turns up."""
    rng = generator(0)
    start = PATTERNS.get("chain").wire(3)
    seen, waiting = {start}, [start]
    while waiting:
        parent = waiting.pop()
        children = {mutate_topology(parent, rng) for _ in range(150)} - seen
        fitting = {child for child in children if child.num_nodes == 4 and not child.joins}
        seen |= fitting
        waiting += sorted(fitting, key=lambda child: sorted(child.edges))
    assert len(seen) == sum(1 for mask in range(64) if _is_wiring(mask)) == 10


def _is_wiring(mask: int) -> bool:
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    edges = {pair for place, pair in enumerate(pairs) if mask >> place & 1}
    reads = all(any(target == node for _, target in edges) for node in (1, 2, 3))
    return reads and all(any(source == node for source, _ in edges) for node in (0, 1, 2))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"edits": ["grow"]}, r"Unknown edit 'grow'[\s\S]*add_edge, change_gain"),
        ({"edits": []}, r"no edit to draw from"),
        ({"count": -1}, r"number of edits is -1; it is at least 0"),
    ],
)
def test_impossible_requests_are_refused(fields: dict[str, object], message: str) -> None:
    parent = Architecture((Node(), Node()), (Edge(0, 1),))
    with pytest.raises(ArchitectureError, match=message):
        mutate(parent, generator(0), check=check, **fields)  # type: ignore[arg-type]
