"""Shares of paths and effective depth: against binomials and against walking every path."""

from __future__ import annotations

import math
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import architectures

from nas.errors import ArchitectureError
from nas.topology.graph import Architecture, Edge, Gain, Node
from nas.topology.lookups import node_merge
from nas.topology.measures import computes, path_lengths
from nas.topology.merges import SCALE_POWER
from nas.topology.path_mass import effective_depth, path_mass
from nas.topology.patterns import PATTERNS


@pytest.mark.parametrize("size", [4, 8, 16])
@pytest.mark.parametrize("decay", [1.0, 0.5, 0.05])
def test_the_lengths_of_a_residual_chain_are_binomial(size: int, decay: float) -> None:
    found = path_mass(PATTERNS.get("residual").wire(size), decay=decay)
    masses = [comb(size, length) * decay**length for length in range(size + 1)]
    assert found.shares == pytest.approx([mass / sum(masses) for mass in masses], rel=1e-12)
    assert found.log_mass == pytest.approx(math.log(sum(masses)))
    assert found.effective_depth == pytest.approx(size * decay / (1 + decay))


def test_branches_scaled_by_one_over_the_depth_leave_an_effective_depth_below_one() -> None:
    for size in (4, 100, 500):
        depth = effective_depth(PATTERNS.get("residual").wire(size), decay=1 / size)
        assert depth == pytest.approx(size / (size + 1))


def test_a_network_of_thousands_of_nodes_has_finite_shares() -> None:
    nodes, edges = [Node()], []
    for end in range(0, 4000, 2):
        nodes += [Node("conv3x3"), Node()]
        edges += [Edge(end, end + 1), Edge(end, end + 2), Edge(end + 1, end + 2)]
    found = path_mass(Architecture(tuple(nodes), tuple(edges)))
    assert math.fsum(found.shares) == pytest.approx(1)
    assert found.effective_depth == pytest.approx(1000)
    assert found.log_mass == pytest.approx(2000 * math.log(2))


def walk(network: Architecture, decay: float) -> dict[int, float]:
    """Walk every path of a flat network and add up factors."""
    masses: dict[int, float] = {}
    waiting = [(0, 0, 1.0)]
    while waiting:
        node, length, mass = waiting.pop()
        if node == len(network.nodes) - 1:
            masses[length] = masses.get(length, 0.0) + mass
        for edge in network.edges:
            if edge.source == node:
                target = network.nodes[edge.target]
                steps = computes(edge.transform) + computes(target.operation)
                power = SCALE_POWER[node_merge(network, edge.target).resolve_scale(target.scale)]
                degree = len(network.inputs(edge.target))
                factor = abs(edge.gain.value) * degree**power * decay**steps
                waiting.append((edge.target, length + steps, mass * factor))
    return masses


@given(network=architectures(cells=0), decay=st.sampled_from([1.0, 0.3]))
def test_shares_are_those_of_a_walk_along_every_path(network: Architecture, decay: float) -> None:
    masses = {length: mass for length, mass in walk(network, decay).items() if mass}
    found = path_mass(network, decay=decay)
    total = math.fsum(masses.values())
    assert math.exp(found.log_mass) == pytest.approx(total)
    assert {n: share for n, share in enumerate(found.shares) if share} == pytest.approx(
        {n: mass / total for n, mass in masses.items()}
    )


@given(network=architectures(cells=0))
def test_without_factors_the_shares_are_those_of_the_path_counts(network: Architecture) -> None:
    plain = Architecture(
        tuple(Node(node.operation) for node in network.nodes),
        tuple(Edge(*pair) for pair in {(edge.source, edge.target) for edge in network.edges}),
    )
    lengths = path_lengths(plain)
    total = sum(lengths.values())
    shares = path_mass(plain).shares
    assert shares == pytest.approx([lengths.get(n, 0) / total for n in range(len(shares))])


def test_gains_weigh_paths_as_they_start() -> None:
    nodes = (Node(), Node("conv3x3"), Node())

    def depth(gain: Gain) -> float:
        return effective_depth(Architecture(nodes, (Edge(0, 1), Edge(0, 2), Edge(1, 2, gain=gain))))

    assert depth(Gain("fixed", -0.25)) == pytest.approx(0.2)
    assert depth(Gain("scalar", 1.0)) == pytest.approx(0.5)
    assert depth(Gain("channel", 0.0)) == 0  # ReZero starts as the identity


def test_nested_means_halve_what_they_add() -> None:
    wide, nodes = [Edge(0, 1), Edge(0, 2), Edge(0, 3)], [Node(), *[Node("conv3x3")] * 2]
    edges = (*wide, Edge(1, 3), Edge(2, 3))
    network = Architecture((*nodes, Node(merge="pairwise_mean")), edges)
    # ((input + 1) / 2 + 2) / 2
    assert path_mass(network).shares == pytest.approx((0.25, 0.75))
    mean = Architecture((*nodes, Node(merge="mean")), edges)
    assert path_mass(mean).shares == pytest.approx((1 / 3, 2 / 3))
    assert path_mass(mean).log_mass == pytest.approx(0)
    assert path_mass(network).log_mass == pytest.approx(0)


def test_a_cell_counts_with_its_own_paths() -> None:
    cell = Architecture((Node(), Node("conv3x3"), Node()), (Edge(0, 1), Edge(0, 2), Edge(1, 2)))
    network = Architecture((Node(), Node(cell=cell), Node(cell=cell)), (Edge(0, 1), Edge(1, 2)))
    assert path_mass(network).shares == pytest.approx((0.25, 0.5, 0.25))


def test_the_depth_of_a_share_is_the_shortest_that_holds_it() -> None:
    found = path_mass(PATTERNS.get("residual").wire(4))
    assert [found.depth_of(share) for share in (0.05, 0.3, 0.5, 0.95, 0.9999)] == [0, 1, 2, 4, 4]
    with pytest.raises(ArchitectureError, match=r"share of 1\.5 is none; it lies between 0 and 1"):
        found.depth_of(1.5)


def test_where_nothing_flows_there_is_no_depth() -> None:
    nothing = path_mass(Architecture((Node(), Node("none")), (Edge(0, 1),)))
    assert (nothing.shares, nothing.effective_depth) == ((), 0)
    assert nothing.log_mass == -math.inf


def test_an_operation_on_what_never_arrives_adds_no_length() -> None:
    dead = Architecture(
        (Node(), Node("none"), Node(), Node()), (Edge(0, 1), Edge(1, 2, "conv3x3"), Edge(2, 3))
    )
    assert path_mass(dead).shares == () and effective_depth(dead) == 0


@pytest.mark.parametrize("decay", [0.0, -1.0, math.inf, math.nan])
def test_a_decay_is_a_positive_number(decay: float) -> None:
    with pytest.raises(ArchitectureError, match=r"no positive number[\s\S]*Use 1"):
        effective_depth(PATTERNS.get("chain").wire(3), decay=decay)
