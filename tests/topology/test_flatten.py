"""Flattening keeps the network: its ids, its costs, its paths."""

from __future__ import annotations

from hypothesis import given
from strategies import INPUT_SHAPE, architectures

from nas.cost.count import cost
from nas.topology.flatten import flatten
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.identity import executed_id, sharing_id, structural_id
from nas.topology.measures import measures

CONV = Node("conv3x3", name="conv")
CELL = Architecture(
    (Node(name="input"), CONV, Node(name="join")), (Edge(0, 1), Edge(0, 2), Edge(1, 2))
)


@given(network=architectures(cells=2))
def test_a_flat_network_has_the_costs_and_ids_of_the_nested_one(network: Architecture) -> None:
    flat = flatten(network)
    nested_cost, flat_cost = (cost(one, INPUT_SHAPE, 10) for one in (network, flat))
    for name in ("parameters", "macs", "bytes", "critical_path", "depth"):
        assert getattr(nested_cost, name) == getattr(flat_cost, name), name
    for identifier in (structural_id, sharing_id, executed_id):
        assert identifier(network) == identifier(flat)
    assert measures(network).length_moments == measures(flat).length_moments
    assert measures(network).paths == measures(flat).paths


@given(network=architectures(cells=0))
def test_a_flat_network_stays_as_it_is(network: Architecture) -> None:
    assert flatten(network) == network


def test_inner_nodes_are_called_after_their_cell() -> None:
    network = Architecture((Node(), Node(cell=CELL, name="stage1.cell1")), (Edge(0, 1),))
    names = [node.name for node in flatten(network).nodes]
    assert names == ["", "stage1.cell1.in", "stage1.cell1.conv", "stage1.cell1.join"]


def test_all_levels_are_flattened() -> None:
    middle = Architecture((Node(), Node(cell=CELL), Node(cell=CELL)), (Edge(0, 1), Edge(1, 2)))
    network = Architecture((Node(), Node(cell=middle), CONV), (Edge(0, 1), Edge(1, 2)))
    flat = flatten(network)
    assert all(node.cell is None for node in flat.nodes)
    assert sum(node.operation == "conv3x3" for node in flat.nodes) == 3


def test_tied_cells_become_tied_nodes() -> None:
    tied = Node(cell=CELL, tie="shared")
    network = Architecture((Node(), tied, tied), (Edge(0, 1), Edge(1, 2)))
    flat = flatten(network)
    ties = [node.tie for node in flat.nodes if node.operation == "conv3x3"]
    assert len(ties) == 2
    assert len(set(ties)) == 1
    assert cost(flat, INPUT_SHAPE, 10).parameters == cost(network, INPUT_SHAPE, 10).parameters


def test_tied_cells_with_weights_outside_operations_stay_nested() -> None:
    weighted = Architecture(
        (Node(), CONV, Node(merge="weighted")), (Edge(0, 1), Edge(0, 2), Edge(1, 2))
    )
    tied = Node(cell=weighted, tie="shared")
    network = Architecture((Node(), tied, tied), (Edge(0, 1), Edge(1, 2)))
    assert flatten(network) == network


def test_cells_with_nodes_that_yield_zeros_stay_nested() -> None:
    empty = Architecture((Node(),) * 3, (Edge(0, 2), Edge(1, 2)), zero_allowed=True)
    network = Architecture((Node(), Node(cell=empty)), (Edge(0, 1),))
    assert flatten(network) == network


def test_ties_of_a_tied_cell_are_no_other_nodes_weights() -> None:
    inner = Architecture(
        (
            Node(),
            Node("conv3x3", width=4, name="a"),
            Node("conv3x3", width=4, tie="node 1", name="b"),
            Node("conv3x3", width=4, tie="node 1", name="c"),
        ),
        (Edge(0, 1), Edge(1, 2), Edge(2, 3)),
    )
    cells = (Node(cell=inner, tie="t", name="x"), Node(cell=inner, tie="t", name="y"))
    nested = Architecture((Node(), *cells), (Edge(0, 1), Edge(1, 2)))
    flat = flatten(nested)
    assert cost(flat, (4, 8, 8), 2).parameters == cost(nested, (4, 8, 8), 2).parameters
    assert sharing_id(flat) == sharing_id(nested)
