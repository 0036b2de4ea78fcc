"""Rewrites of residual chains: shorter critical paths, equal costs, the patterns' own networks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import INPUT_SHAPE, architectures

from nas.cost.count import cost
from nas.errors import TopologyError
from nas.topology.graph import Architecture, Edge, Gain, Link, Node, NodeRule, Topology
from nas.topology.identity import structural_id
from nas.topology.measures import longest_path, path_lengths
from nas.topology.patterns import PATTERNS
from nas.topology.rewrites import first_order, lagged, residual_rows, side_by_side
from nas.topology.stages import stage_architecture

SIZES = (4, 5, 8, 12)


def residual(size: int) -> Topology:
    return PATTERNS.get("residual").wire(size)


def network(topology: Topology) -> Architecture:
    return stage_architecture(topology, width=8, stem="conv3x3")


@pytest.mark.parametrize("size", SIZES)
def test_the_critical_path_of_a_ladder_is_half_as_long(size: int) -> None:
    assert longest_path(residual(size)) == size
    assert longest_path(lagged(residual(size))) == -(-size // 2)
    for lag in (0, 2, 3):
        assert longest_path(lagged(residual(size), lag)) == -(-size // (lag + 1))
    assert longest_path(side_by_side(residual(size), 2)) == -(-size // 2)
    assert longest_path(first_order(residual(size))) == 1


@pytest.mark.parametrize("size", SIZES)
def test_only_first_order_terms_are_left(size: int) -> None:
    assert path_lengths(first_order(residual(size))) == {0: 1, 1: size}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rewrite", [lagged, side_by_side, first_order])
def test_parameters_and_multiply_adds_stay(rewrite: object, size: int) -> None:
    before = network(residual(size))
    after = rewrite(before)  # type: ignore[operator]
    assert after == network(rewrite(residual(size)))  # type: ignore[operator]
    costs = [cost(net, INPUT_SHAPE, 10) for net in (before, after)]
    assert costs[0].parameters == costs[1].parameters
    assert costs[0].macs == costs[1].macs
    assert costs[0].critical_path > costs[1].critical_path


@pytest.mark.parametrize(
    ("pattern", "rewrite"),
    [
        ("ladder", lagged),
        ("ladder(lag=3)", lambda graph: lagged(graph, 3)),
        ("parallel_pairs", side_by_side),
        ("parallel_pairs(ways=4)", lambda graph: side_by_side(graph, 4)),
        ("first_order", first_order),
        ("residual", lambda graph: lagged(graph, 0)),
        ("residual", lambda graph: side_by_side(graph, 1)),
    ],
)
def test_a_rewritten_chain_is_the_network_of_the_pattern(pattern: str, rewrite: object) -> None:
    for size in (8, 12):
        rewritten = network(rewrite(residual(size)))  # type: ignore[operator]
        assert structural_id(rewritten) == structural_id(network(PATTERNS.get(pattern).wire(size)))


def test_three_motifs_of_two_operations_have_three_sets_of_paths() -> None:
    lengths = [path_lengths(PATTERNS.get(f"p3d(motif={motif})").wire(2)) for motif in "abc"]
    assert lengths == [{0: 1, 2: 1}, {0: 1, 1: 2}, {0: 1, 1: 1, 2: 1}]


def test_blocks_of_several_nodes_are_moved_as_a_whole() -> None:
    wiring = PATTERNS.get("residual(span=2)").wire(8)
    rows = residual_rows(wiring)
    assert [len(row) for row in rows] == [4]
    assert longest_path(lagged(wiring)) == 4
    assert longest_path(first_order(wiring)) == 2


def test_rows_end_where_the_shape_changes() -> None:
    nodes, edges = [Node(), Node("conv3x3", width=4)], [Edge(0, 1)]
    for width, stride in ((4, 1), (4, 1), (8, 2), (8, 1)):
        end = len(nodes) - 1
        nodes += [Node("conv3x3", width=width, stride=stride), Node()]
        edges += [Edge(end, end + 1), Edge(end, end + 2), Edge(end + 1, end + 2)]
    chain = Architecture(tuple(nodes), tuple(edges))
    rows = residual_rows(chain)
    assert [[block.state for block in row] for row in rows] == [[1, 3, 5], [7]]
    after = lagged(chain)
    assert [edge.source for edge in after.inputs(8)] == [7]
    assert [edge.source for edge in after.inputs(6)] == [3]
    strided = Topology(
        5,
        frozenset({(0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4)}),
        joins=frozenset({2, 4}),
        rules={1: NodeRule(stride=2)},
    )
    assert [len(row) for row in residual_rows(strided)] == [1, 1]


def test_what_edges_carry_moves_with_them() -> None:
    topology = Topology(
        5,
        frozenset({(0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4)}),
        joins=frozenset({2, 4}),
        links={(2, 3): Link(gain=Gain("scalar", 0.5)), (3, 4): Link(port="main")},
    )
    after = lagged(topology)
    assert after.link((0, 3)) == Link(gain=Gain("scalar", 0.5))
    assert after.link((3, 4)) == Link(port="main")
    assert (2, 3) not in after.edges


@given(graph=architectures(cells=0), lag=st.integers(0, 3))
def test_whatever_has_residual_blocks_can_be_rewritten(graph: Architecture, lag: int) -> None:
    if residual_rows(graph):
        after = lagged(graph, lag)
        assert after.nodes == graph.nodes
        assert cost(after, INPUT_SHAPE, 10).parameters == cost(graph, INPUT_SHAPE, 10).parameters
        assert cost(after, INPUT_SHAPE, 10).macs == cost(graph, INPUT_SHAPE, 10).macs


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lagged(PATTERNS.get("chain").wire(4)), r"no residual chain[\s\S]*'residual'"),
        (lambda: first_order(PATTERNS.get("free").wire(2)), r"no residual chain"),
        (lambda: lagged(residual(4), -1), r"lag of -1 reads the future"),
        (lambda: side_by_side(residual(4), 0), r"no 0 ways side by side"),
    ],
)
def test_refusals_name_the_way_out(call: object, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        call()  # type: ignore[operator]
