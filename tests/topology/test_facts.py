"""What edges and nodes carry beyond their ends: refusals, files, and topologies laid out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from strategies import architectures

from nas.errors import ArchitectureError, NotFoundError, TopologyError
from nas.topology.facts import Gain, Link, NodeRule
from nas.topology.graph import Architecture, Edge, Node, Topology
from nas.topology.identity import executed_id, sharing_id, structural_id
from nas.topology.serial import architecture_text, dump_architecture, load_architecture
from nas.topology.stages import add_stage, node_names, stage_architecture

PAIR = (Node(name="input"), Node("conv3x3", width=4, name="op1"))
CELL = Architecture((Node(), Node("conv3x3", width=4)), (Edge(0, 1),))


def network(*edges: Edge, **fields: Any) -> Architecture:
    return Architecture(PAIR, edges or (Edge(0, 1),), **fields)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Gain("learned"), r"kind of gain 'learned'[\s\S]*none, fixed, scalar, channel"),
        (lambda: Gain("fixed", float("nan")), r"gain of nan is no finite number"),
        (lambda: Gain("none", 0.5), r"kind 'none' has no value; got 0.5[\s\S]*'fixed'"),
        (
            lambda: network(Edge(0, 1, part=(2, 2))),
            r"Node 1 \('op1'\)[\s\S]*part 2 of 2[\s\S]*0, 2",
        ),
        (
            lambda: network(Edge(0, 1, port="main"), Edge(0, 1, "relu", "main")),
            r"Node 1 \('op1'\) has two main inputs",
        ),
        (lambda: network(head="pooled"), r"Unknown head 'pooled'[\s\S]*classifier, none"),
        (
            lambda: Architecture((Node(), Node("conv3x3", motif="block")), (Edge(0, 1),)),
            r"Node 1 names the motif 'block' but holds no cell",
        ),
        (
            lambda: Architecture(
                (Node(), Node(cell=CELL, motif="m"), Node(cell=network(), motif="m", name="b")),
                (Edge(0, 1), Edge(1, 2)),
            ),
            r"Node 2 \('b'\) and node 1 hold different cells under the one motif 'm'",
        ),
    ],
)
def test_impossible_facts_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        build()


@pytest.mark.parametrize(
    ("rules", "links", "message"),
    [
        ({5: NodeRule()}, {}, r"rules of a topology speak of 5, which is not there"),
        ({}, {(0, 2): Link()}, r"links of a topology speak of \(0, 2\), which is not there"),
    ],
)
def test_a_rule_about_nothing_is_refused(rules: Any, links: Any, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        Topology(3, frozenset({(0, 1), (1, 2)}), rules=rules, links=links)


@given(architectures(exits=True))
def test_everything_carried_survives_a_file(architecture: Architecture) -> None:
    text = architecture_text(architecture)
    again = load_architecture(text)
    assert again == architecture
    assert architecture_text(again) == text


def test_a_file_holds_exits_motifs_untied_norms_and_no_head() -> None:
    nodes = (
        Node(name="input"),
        Node(cell=CELL, motif="block", exit=True, tie="t", name="a"),
        Node(cell=CELL, motif="block", own_norms=True, tie="t", name="b"),
    )
    architecture = Architecture(nodes, (Edge(0, 1), Edge(1, 2)), head="none")
    assert load_architecture(architecture_text(architecture)) == architecture


@pytest.mark.parametrize(
    ("fifth", "message"),
    [
        (3, r"edges\[0\] must be an object with 'part' or 'gain' in fifth place, not a number"),
        ({"gains": 1}, r"Unknown key 'gains' in edges\[0\][\s\S]*'gain'"),
        ({"part": [0]}, r"edges\[0\].part must be \[index, count\]"),
        ({"part": [0, 10**7]}, r"edges\[0\].part has more than"),
        ({"gain": ["fixed", "a"]}, r"edges\[0\].gain must be \[kind, value\]"),
        ({"gain": ["soft", 1.0]}, r"kind of gain 'soft'[\s\S]*edges\[0\].gain"),
        ({"gain": ["fixed", 10**400]}, r"gain is too large[\s\S]*edges\[0\].gain"),
    ],
)
def test_a_damaged_edge_is_named_with_its_place(fifth: Any, message: str) -> None:
    data = json.loads(json.dumps(dump_architecture(network())))
    data["edges"] = [[0, 1, "auto", "default", fifth]]
    with pytest.raises(ArchitectureError, match=message):
        load_architecture(data)


@pytest.mark.parametrize("key", ["exit", "own_norms"])
def test_a_flag_is_true_or_false(key: str) -> None:
    data = dump_architecture(network())
    data["nodes"][1][key] = 1
    with pytest.raises(ArchitectureError, match=rf"{key} must be true or false, not a number"):
        load_architecture(data)


def test_an_unknown_head_in_a_file_is_refused() -> None:
    data = {**dump_architecture(network()), "head": "maps"}
    with pytest.raises(ArchitectureError, match=r"Unknown head 'maps'[\s\S]*classifier, none"):
        load_architecture(data)


@pytest.mark.parametrize(
    "other",
    [
        network(Edge(0, 1, gain=Gain("fixed", 0.5))),
        network(Edge(0, 1, gain=Gain("scalar", 0.5))),
        network(Edge(0, 1, gain=Gain("scalar", 0.0))),
        network(Edge(0, 1, gain=Gain("channel", 0.5))),
        network(Edge(0, 1, part=(0, 2))),
        network(Edge(0, 1, part=(1, 2))),
    ],
)
def test_what_an_edge_carries_is_part_of_every_id(other: Architecture) -> None:
    plain = network()
    for identify in (structural_id, sharing_id, executed_id):
        assert identify(other) != identify(plain)


def test_a_gain_of_one_and_a_main_port_without_effect_are_no_other_network() -> None:
    assert structural_id(network(Edge(0, 1, gain=Gain("fixed", 1.0)))) == structural_id(network())
    assert structural_id(network(Edge(0, 1, port="main"))) == structural_id(network())


def tied(*own_norms: bool) -> Architecture:
    nodes = [Node(name="input")]
    nodes += [Node("conv3x3", width=3, tie="t", own_norms=own) for own in own_norms]
    return Architecture(tuple(nodes), tuple(Edge(i, i + 1) for i in range(len(own_norms))))


def test_sharing_ids_tell_which_norms_are_shared() -> None:
    all_shared, last, middle = tied(False, False, False), tied(False, False, True), None
    middle = tied(False, True, False)
    assert len({sharing_id(graph) for graph in (all_shared, last, middle)}) == 3
    assert len({structural_id(graph) for graph in (all_shared, last, middle)}) == 1
    # One that shares its norms with nobody keeps them, whether it says so or not.
    assert sharing_id(tied(True, True, True)) == sharing_id(tied(True, False, True))


def test_an_exit_is_part_of_the_structure_but_that_of_the_last_node_is_the_head() -> None:
    nodes = (*PAIR, Node("conv3x3", width=4))
    edges = (Edge(0, 1), Edge(1, 2))
    plain = Architecture(nodes, edges)
    early = Architecture((nodes[0], Node("conv3x3", width=4, exit=True), nodes[2]), edges)
    last = Architecture((*PAIR, Node("conv3x3", width=4, exit=True)), edges)
    assert structural_id(early) != structural_id(plain)
    assert structural_id(last) == structural_id(plain)


RULED = Topology(
    5,
    frozenset({(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)}),
    joins=frozenset({3}),
    rules={
        2: NodeRule(operation="avg_pool3x3"),
        3: NodeRule(merge="stack"),
        4: NodeRule(width=(1, 2), stride=2, tie="t", own_norms=True, exit=True),
    },
    links={(0, 1): Link("conv1x1", "main", (0, 2), Gain("scalar", 0.0))},
)


def test_a_stage_is_laid_out_with_the_rules_of_its_pattern() -> None:
    assert RULED.operations == (1, 4)
    assert node_names("s", RULED) == ["s.in", "s.op1", "s.fixed1", "s.join1", "s.op2"]
    built = stage_architecture(RULED, width=9, operation="conv3x3", merge="concat")
    assert [node.operation for node in built.nodes[1:]] == [
        "conv3x3",
        "avg_pool3x3",
        "identity",
        "conv3x3",
    ]
    assert built.nodes[2].width is None
    assert [node.merge for node in built.nodes[1:]] == ["concat", "concat", "stack", "concat"]
    last = built.nodes[4]
    assert (last.width, last.stride, last.tie, last.own_norms, last.exit) == (
        4,
        2,
        "stage1.t",
        True,
        True,
    )
    assert built.edges[0] == Edge(0, 1, "conv1x1", "main", (0, 2), Gain("scalar", 0.0))


def test_optional_edges_are_asked_for() -> None:
    pairs = frozenset({(0, 1), (1, 2), (0, 2)})
    nodes, edges = [Node(name="input")], list[Edge]()
    topology = Topology(3, pairs, optional=frozenset({(0, 2)}))
    add_stage(
        nodes,
        edges,
        topology,
        name="s",
        width=4,
        operation=lambda name: "conv1x1" if name == "s.op1" else "conv3x3",
        on=lambda pair: pair != (0, 2),
    )
    assert [(edge.source, edge.target) for edge in edges] == [(0, 1), (1, 2)]
    assert [node.operation for node in nodes[1:]] == ["conv1x1", "conv3x3"]


def test_a_stage_without_channels_or_of_unknown_operations_is_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"at least 1 channel; got a width of 0"):
        stage_architecture(RULED, width=0)
    with pytest.raises(NotFoundError, match=r"Unknown operation 'konv3x3'[\s\S]*'conv3x3'"):
        stage_architecture(RULED, operation="konv3x3")
