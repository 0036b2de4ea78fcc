"""Live tensors: against a simulation that keeps what is still to be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from strategies import topologies

from nas.topology.graph import Architecture, Edge, Node, Topology
from nas.topology.liveness import last_reads, live_tensors, peak_live_tensors
from nas.topology.patterns import PATTERNS


@given(topology=topologies())
def test_live_tensors_are_those_still_to_be_read(topology: Topology) -> None:
    last = topology.num_nodes - 1
    expected = [
        1 + sum(
            any(source == held and target >= node for source, target in topology.edges)
            for held in range(node)
        )
        for node in range(last + 1)
    ]  # fmt: skip
    assert live_tensors(topology) == expected
    network = Architecture(
        (Node(),) * topology.num_nodes, tuple(Edge(*pair) for pair in topology.edges)
    )
    assert live_tensors(network) == expected


@pytest.mark.parametrize("size", [8, 16, 32, 64, 128])
def test_harmonic_wiring_holds_fewer_tensors_than_dense_wiring(size: int) -> None:
    harmonic, dense = (PATTERNS.get(name).wire(size) for name in ("harmonic", "dense"))
    assert peak_live_tensors(dense) == size + 1
    assert peak_live_tensors(harmonic) <= size.bit_length() + 1


def test_a_chain_holds_two_and_a_residual_chain_three() -> None:
    assert peak_live_tensors(PATTERNS.get("chain").wire(50)) == 2
    assert peak_live_tensors(PATTERNS.get("residual").wire(50)) == 3


def test_what_nothing_reads_goes_at_once_and_the_last_output_stays() -> None:
    assert last_reads([[], [0], [], [1]]) == [[], [0], [2], [1]]
