"""Path counts and lengths: against enumeration and against closed forms."""

from __future__ import annotations

import time
from collections import Counter
from math import comb

import pytest
from hypothesis import given
from strategies import architectures, topologies

from nas.topology.graph import Architecture, Edge, Node, Topology
from nas.topology.measures import (
    longest_path,
    measures,
    path_count,
    path_lengths,
    path_moments,
)
from nas.topology.operations import OPERATIONS
from nas.topology.patterns import PATTERNS


def enumerate_lengths(topology: Topology) -> Counter[int]:
    """Walk every path one by one."""
    found: Counter[int] = Counter()
    open_paths = [(0, 0)]
    while open_paths:
        node, length = open_paths.pop()
        if node == topology.num_nodes - 1:
            found[length] += 1
        open_paths += [
            (target, length + (target in topology.operations))
            for source, target in topology.edges
            if source == node
        ]
    return found


@given(topology=topologies())
def test_path_lengths_are_those_of_an_enumeration(topology: Topology) -> None:
    lengths = enumerate_lengths(topology)
    assert path_lengths(topology) == dict(lengths)
    found = measures(topology)
    assert found.paths == lengths.total()
    assert found.longest_path == max(lengths)
    assert found.shortest_path == min(lengths)
    assert found.length_moments == tuple(
        sum(count * length**power for length, count in lengths.items()) for power in (1, 2, 3)
    )


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_the_paths_of_a_fractal_are_those_of_an_enumeration(columns: int) -> None:
    fractal = PATTERNS.get("fractal").wire(2**columns - 1)
    walked = enumerate_lengths(fractal)
    assert path_lengths(fractal) == dict(walked)
    found = path_moments(fractal)
    assert (found.paths, *found.sums) == tuple(
        sum(count * length**power for length, count in walked.items()) for power in range(4)
    )
    assert (found.longest, found.shortest) == (max(walked), min(walked))


def test_a_fractal_has_the_published_number_of_paths() -> None:
    fractals = [PATTERNS.get("fractal").wire(2**columns - 1) for columns in range(1, 6)]
    assert [path_count(fractal) for fractal in fractals] == [1, 2, 5, 26, 677]


@pytest.mark.parametrize("size", [4, 8, 16, 400])
def test_a_residual_chain_has_binomially_many_paths(size: int) -> None:
    chain = PATTERNS.get("residual").wire(size)
    assert path_lengths(chain) == {k: comb(size, k) for k in range(size + 1)}
    found = path_moments(chain)
    assert (found.paths, *found.sums) == tuple(
        sum(comb(size, k) * k**power for k in range(size + 1)) for power in range(4)
    )


def test_thousands_of_nodes_are_measured_in_time_linear_in_the_edges() -> None:
    nodes, edges = [Node()], []
    for end in range(0, 4000, 2):
        nodes += [Node("conv3x3"), Node()]
        edges += [Edge(end, end + 1), Edge(end, end + 2), Edge(end + 1, end + 2)]
    started = time.process_time()
    found = measures(Architecture(tuple(nodes), tuple(edges)))
    assert time.process_time() - started < 2
    assert found.paths == 2**2000
    assert found.length_moments[0] == 2000 * 2**1999
    assert (found.longest_path, found.shortest_path) == (2000, 0)


def test_in_degrees_are_counted_without_the_input() -> None:
    found = measures(PATTERNS.get("dense").wire(4))
    assert found.in_degrees == {1: 1, 2: 1, 3: 1, 4: 1}
    assert found.max_in_degree == 4
    assert found.edges == 10
    assert found.operations == 4
    assert found.to_dict()["in_degrees"] == {"1": 1, "2": 1, "3": 1, "4": 1}


def test_joins_identities_and_dead_edges_count_nothing() -> None:
    nodes = (Node(), Node("conv3x3"), Node(), Node("none"), Node())
    edges = (
        Edge(0, 1), Edge(0, 2), Edge(1, 2), Edge(0, 3), Edge(2, 4), Edge(3, 4),
        Edge(0, 4, "none"), Edge(1, 4, "relu"), Edge(0, 4, "identity"),
    )  # fmt: skip
    network = Architecture(nodes, edges)
    assert path_lengths(network) == {0: 2, 1: 1, 2: 1}
    assert measures(network).operations == 2


def test_a_cell_counts_with_its_own_paths() -> None:
    cell = Architecture((Node(), Node("conv3x3"), Node()), (Edge(0, 1), Edge(0, 2), Edge(1, 2)))
    network = Architecture((Node(), Node(cell=cell), Node(cell=cell)), (Edge(0, 1), Edge(1, 2)))
    assert path_lengths(network) == {0: 1, 1: 2, 2: 1}
    assert measures(network).operations == 2
    assert longest_path(network) == 2


@given(network=architectures(cells=0, transforms=False))
def test_a_plain_architecture_measures_like_its_wiring(network: Architecture) -> None:
    joins = frozenset(
        n for n, node in enumerate(network.nodes) if n and not OPERATIONS.get(node.operation).layers
    )
    pairs = frozenset((edge.source, edge.target) for edge in network.edges)
    assert measures(network) == measures(Topology(len(network.nodes), pairs, joins=joins))


def test_a_network_that_computes_nothing_has_no_path() -> None:
    nothing = Architecture((Node(), Node()), (Edge(0, 1, "none"),))
    assert path_lengths(nothing) == {}
    assert measures(nothing).paths == longest_path(nothing) == 0
