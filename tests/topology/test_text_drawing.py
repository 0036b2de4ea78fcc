"""Drawings and layouts: every node has a place, every line stays within its width."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import architectures, topologies

from nas.topology.graph import Architecture, Edge, Gain, Node, NodeRule, Topology
from nas.topology.layout import layout
from nas.topology.liveness import peak_live_tensors
from nas.topology.patterns import PATTERNS
from nas.topology.text_drawing import draw_text, drawn_nodes


def test_a_residual_chain_is_drawn_as_one_expects() -> None:
    nodes = (Node(name="input"), Node("conv3x3", width=16), Node("relu"), Node())
    network = Architecture(nodes, (Edge(0, 1), Edge(1, 2), Edge(0, 3), Edge(2, 3)))
    assert draw_text(network) == [
        "●    0 input",
        "├─●  1 conv3x3 16",
        "│ ●  2 relu",
        "●─╯  3 sum",
    ]
    assert draw_text(network, ascii_only=True) == [
        "o    0 input",
        "|-o  1 conv3x3 16",
        "| o  2 relu",
        "o-'  3 sum",
    ]


def test_lines_that_cross_do_not_touch() -> None:
    crossing = Topology(4, frozenset({(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)}))
    assert [line.picture for line in drawn_nodes(crossing)] == ["●", "├─●", "├─│─●", "●─╯─╯"]


def test_what_is_unusual_about_nodes_and_edges_is_written() -> None:
    cell = Architecture((Node(), Node("relu")), (Edge(0, 1),))
    nodes = (
        Node(),
        Node("conv3x3", width=8, stride=2, tie="a", own_norms=True, exit=True),
        Node(cell=cell, motif="m"),
        Node("relu", "mean", "rsqrt", name="bad\x1b[31m"),
    )
    edges = (
        Edge(0, 1),
        Edge(1, 2, part=(1, 2)),
        Edge(1, 3, gain=Gain("channel", 0.5)),
        Edge(2, 3, "project", "main"),
    )
    labels = [line.label for line in drawn_nodes(Architecture(nodes, edges))]
    assert labels == [
        "0 input",
        "1 conv3x3 8 /2 tied to a own norms exit",
        "2 cell of 2 nodes of motif m  [1→2 part 1 of 2]",
        "3 bad?[31m mean (rsqrt) relu  [1→3 channel gain 0.5, 2→3 project port main]",
    ]
    ruled = Topology(
        3,
        frozenset({(0, 1), (1, 2)}),
        joins=frozenset({2}),
        rules={1: NodeRule("relu", width=(1, 2), stride=2, tie="t", exit=True)},
    )
    assert [line.label for line in drawn_nodes(ruled)] == [
        "0 input",
        "1 relu ×1/2 /2 tied to t exit",
        "2 sum",
    ]


@given(graph=topologies() | architectures(), width=st.integers(12, 120), ascii_only=st.booleans())
def test_no_line_is_longer_than_allowed(
    graph: Topology | Architecture, width: int, ascii_only: bool
) -> None:
    lines = draw_text(graph, width=width, ascii_only=ascii_only)
    assert len(lines) == graph.num_nodes if isinstance(graph, Topology) else len(graph.nodes)
    assert all(len(line) <= width for line in lines)
    assert all(line.isascii() for line in lines) or not ascii_only


@given(topology=topologies())
def test_the_widest_line_shows_how_many_tensors_are_held(topology: Topology) -> None:
    columns = max((len(line.picture) + 1) // 2 for line in drawn_nodes(topology))
    # A node that reads a tensor for the last time stands in its column.
    assert peak_live_tensors(topology) - 1 <= columns <= peak_live_tensors(topology)


@pytest.mark.parametrize("name", list(PATTERNS))
def test_every_pattern_is_drawn(name: str) -> None:
    pattern = PATTERNS.get(name)
    topology = pattern.wire(pattern.smallest())
    pictures = [line.picture for line in drawn_nodes(topology, columns=200)]
    assert all(picture.count("●") == 1 for picture in pictures)
    for node, picture in enumerate(pictures[1:], start=1):
        touched = sum(picture.count(symbol) for symbol in "├┤╰╯")
        # All but the one in whose column it may stand.
        assert len(topology.sources(node)) - 1 <= touched <= len(topology.sources(node))


@given(graph=topologies() | architectures(cells=1))
def test_every_node_has_a_place_of_its_own_below_what_it_reads(
    graph: Topology | Architecture,
) -> None:
    found = layout(graph)
    assert len({*zip(found.ranks, found.lanes, strict=True)}) == len(found.ranks)
    edges = (
        graph.edges if isinstance(graph, Topology) else [(e.source, e.target) for e in graph.edges]
    )
    assert all(found.ranks[source] < found.ranks[target] for source, target in edges)
    document = found.to_dict()
    assert document["num_ranks"] == max(found.ranks) + 1
    assert document["num_lanes"] == max(found.lanes) + 1


def test_branches_stand_beside_one_another() -> None:
    topology = Topology(5, frozenset({(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)}))
    found = layout(topology)
    assert found.ranks == (0, 1, 1, 1, 2)
    assert sorted(found.lanes[1:4]) == [0, 1, 2]
    assert found.lanes[4] == 1


def test_names_change_nothing_but_labels() -> None:
    network = Architecture((Node(), Node("relu")), (Edge(0, 1),))
    named = replace(network, nodes=(Node(name="input"), Node("relu", name="act")))
    assert draw_text(named)[1] == "●  1 act relu"
    assert layout(named) == layout(network)
