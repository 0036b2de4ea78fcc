"""Topology and Architecture: every rule of a valid graph, and the message that names its breach."""

from __future__ import annotations

import pickle  # noqa: TID251 - how a worker process receives an architecture

import networkx as nx
import pytest
from hypothesis import given
from strategies import architectures, topologies

from nas.errors import ArchitectureError, TopologyError
from nas.topology import graph, topology
from nas.topology.graph import Architecture, Edge, Node, Topology


def arch(*pairs: tuple[int, int], nodes: int = 4, **fields: object) -> Architecture:
    return Architecture((Node(**fields),) * nodes, tuple(Edge(*pair) for pair in pairs))  # type: ignore[arg-type]


@pytest.mark.fault("D4")
@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({(0, 1), (1, 3), (3, 2)}, r"Edge \(3, 2\) runs backwards[\s\S]*from_networkx"),
        ({(0, 1), (1, 1), (1, 3)}, r"Edge \(1, 1\) is a self loop[\s\S]*Leave it out"),
        (
            {(0, 1), (1, 9)},
            r"Edge \(1, 9\) names a node that is not there: nodes are 0 to 3\.[\s\S]*add the node",
        ),
        ({(0, 1), (-1, 3)}, r"Edge \(-1, 3\) names a node that is not there"),
    ],
)
def test_an_impossible_edge_is_refused(pairs: set[tuple[int, int]], message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        Topology(4, frozenset(pairs))
    with pytest.raises(TopologyError, match=message):
        arch(*pairs)


@pytest.mark.fault("D2")
def test_a_node_that_nothing_reaches_is_named() -> None:
    with pytest.raises(TopologyError, match=r"Node 2 is disconnected: no path leads to it"):
        Topology(4, frozenset({(0, 1), (1, 3), (2, 3)}))
    with pytest.raises(TopologyError, match=r"Node 2 is disconnected.*from the input[\s\S]*pruned"):
        arch((0, 1), (1, 3), (2, 3))


@pytest.mark.fault("D2")
def test_a_node_that_reaches_nothing_is_named() -> None:
    with pytest.raises(TopologyError, match=r"Node 2 is disconnected: no path leads from it"):
        Topology(4, frozenset({(0, 1), (1, 3), (1, 2)}))
    with pytest.raises(TopologyError, match=r"Node 2 is disconnected.*to the output"):
        arch((0, 1), (1, 3), (1, 2))


def test_a_disconnected_node_is_called_by_its_name() -> None:
    nodes = (Node(), Node(name="stage1.op1"), Node())
    with pytest.raises(TopologyError, match=r"Node 1 \('stage1.op1'\) is disconnected"):
        Architecture(nodes, (Edge(0, 2),))


def test_nodes_without_inputs_stand_where_zeros_are_allowed() -> None:
    network = Architecture((Node(),) * 4, (Edge(0, 3),), zero_allowed=True)
    assert network.inputs(2) == ()


@pytest.mark.parametrize("kind", [Topology, Architecture])
def test_one_node_is_no_network(kind: type) -> None:
    with pytest.raises(TopologyError, match="at least 2 nodes, an input and an output; got 1"):
        Topology(1, frozenset()) if kind is Topology else Architecture((Node(),), ())


@pytest.mark.fault("D4")
def test_an_edge_given_twice_is_refused() -> None:
    with pytest.raises(TopologyError, match=r"Edge \(0, 1\) is there twice[\s\S]*two different"):
        arch((0, 1), (0, 1), (1, 2), (2, 3))


def test_two_transforms_make_two_edges_between_two_nodes() -> None:
    network = Architecture((Node(), Node()), (Edge(0, 1), Edge(0, 1, "relu")))
    assert len(network.inputs(1)) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0}, r"Node 0 has width 0; a width is at least 1"),
        ({"width": -3}, r"width -3(?s:.*)The nearest is width=1"),
        ({"width": "8"}, r"Node 0 has width '8'; a width is a whole number(?s:.*)width=1 or more"),
        ({"stride": 1.5}, r"stride 1.5; a stride is a whole number"),
        ({"stride": 0}, r"Node 0 has stride 0; a stride is at least 1"),
        ({"scale": "half"}, r"scale 'half'[\s\S]*auto, none, rsqrt, mean"),
    ],
)
def test_impossible_numbers_of_a_node_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        arch((0, 1), nodes=2, **fields)


def test_what_is_no_node_and_no_edge_is_refused() -> None:
    with pytest.raises(
        ArchitectureError, match=r"Place 0 of the edges holds \(0, 1\)(?s:.*)Edge\("
    ):
        Architecture((Node(), Node()), ((0, 1),))  # type: ignore[arg-type]
    with pytest.raises(ArchitectureError, match=r"Place 1 of the nodes holds conv3x3(?s:.*)Node\("):
        Architecture((Node(), "conv3x3"), (Edge(0, 1),))  # type: ignore[arg-type]


@pytest.mark.fault("D7")
def test_graphs_beyond_the_limits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (graph, topology):
        monkeypatch.setattr(module, "MAX_NODES", 3)
    with pytest.raises(
        TopologyError, match=r"4 nodes and 3 edges is beyond the limits of 3 nodes[\s\S]*nest parts"
    ):
        Topology(4, frozenset({(0, 1), (1, 2), (2, 3)}))
    with pytest.raises(TopologyError, match="beyond the limits of 3 nodes"):
        arch((0, 1), (1, 2), (2, 3))


@pytest.mark.fault("D1")
def test_a_cycle_is_printed() -> None:
    cyclic = nx.DiGraph([("in", "a"), ("a", "b"), ("b", "a"), ("b", "out")])
    with pytest.raises(TopologyError, match=r"cycle: a→b→a[\s\S]*Remove one of its edges"):
        Topology.from_networkx(cyclic)


def test_several_inputs_or_outputs_are_named() -> None:
    with pytest.raises(TopologyError, match=r"one input; this graph has 2: \['a', 'b'\]"):
        Topology.from_networkx(nx.DiGraph([("a", "c"), ("b", "c")]))
    with pytest.raises(TopologyError, match=r"one output; this graph has 2: \['b', 'c'\]"):
        Topology.from_networkx(nx.DiGraph([("a", "b"), ("a", "c")]))


def test_any_acyclic_graph_is_renumbered() -> None:
    topology = Topology.from_networkx(nx.DiGraph([(9, 4), (4, 7), (9, 7)]), merge="mean")
    assert topology == Topology(3, frozenset({(0, 1), (1, 2), (0, 2)}), merge="mean")


@given(topology=topologies())
def test_a_wiring_survives_the_way_through_networkx(topology: Topology) -> None:
    back = Topology.from_networkx(topology.to_networkx(), merge=topology.merge)
    assert nx.is_isomorphic(back.to_networkx(), topology.to_networkx())


@given(topology=topologies())
def test_sources_are_the_edges_oldest_first(topology: Topology) -> None:
    for node in range(topology.num_nodes):
        sources = topology.sources(node)
        assert list(sources) == sorted(s for s, target in topology.edges if target == node)
    assert set(topology.operations) | topology.joins == set(range(1, topology.num_nodes))


@given(network=architectures())
def test_an_architecture_equals_its_copy_and_hashes_alike(network: Architecture) -> None:
    copy = pickle.loads(pickle.dumps(network))
    assert copy == network
    assert hash(copy) == hash(network)
    assert copy.wiring == network.wiring


@given(network=architectures())
def test_the_networkx_view_has_all_nodes_and_edges(network: Architecture) -> None:
    view = network.to_networkx()
    assert view.number_of_nodes() == len(network.nodes)
    assert view.number_of_edges() == len(network.edges)


def test_the_order_of_edges_and_the_wiring_label_do_not_count() -> None:
    first = Architecture((Node(),) * 3, (Edge(0, 1), Edge(1, 2), Edge(0, 2)), ("chain",))
    second = Architecture((Node(),) * 3, (Edge(0, 2), Edge(1, 2), Edge(0, 1)))
    assert first == second
    assert len({first, second}) == 1


@pytest.mark.fault("D2", "D3")
def test_pruning_leaves_out_what_lies_on_no_path() -> None:
    nodes = [Node(name=name) for name in ("in", "dead", "op", "late", "out")]
    edges = [Edge(1, 2), Edge(0, 2), Edge(2, 4), Edge(2, 3)]
    pruned = Architecture.pruned(nodes, edges, ("free",))
    assert [node.name for node in pruned.nodes] == ["in", "op", "out"]
    assert pruned.edges == (Edge(0, 1), Edge(1, 2))
    assert pruned.wiring == ("free",)


def test_pruning_refuses_a_graph_without_any_path() -> None:
    with pytest.raises(TopologyError, match="No path leads from the input to the output"):
        Architecture.pruned([Node()] * 3, [Edge(0, 1)])
