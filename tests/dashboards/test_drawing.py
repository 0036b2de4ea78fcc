"""Drawings of architectures: well-formed, complete, and safe to embed."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from strategies import architectures

from dashboards.drawing import FAMILY_COLOURS, draw_architecture, family, place, short_label
from nas.space import load_space, space_names
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.published import PUBLISHED, build_published

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert('x')</script>\"&]]>"


def drawings(text: str) -> list[ElementTree.Element]:
    """Parse what `draw_architecture` returned: one svg element per level of nesting."""
    return list(ElementTree.fromstring(f"<page>{text}</page>"))


def levels(architecture: Architecture) -> list[Architecture]:
    """Return the architecture and, level by level, the first cell in it."""
    cell = next((node.cell for node in architecture.nodes if node.cell is not None), None)
    return [architecture, *(levels(cell) if cell is not None else [])]


def check_marks(architecture: Architecture) -> None:
    drawn = drawings(draw_architecture(architecture))
    wanted = levels(architecture)
    assert len(drawn) == len(wanted)
    for svg, graph in zip(drawn, wanted, strict=True):
        groups = [group.get("class") for group in svg.iter(f"{SVG}g")]
        assert len(groups) == len(graph.nodes)
        assert set(groups) <= {"node", "join"}
        edges = [path for path in svg.iter(f"{SVG}path") if "edge" in str(path.get("class"))]
        assert len(edges) == len(graph.edges)


@given(architectures())
def test_a_drawing_is_xml_with_one_mark_per_node_and_edge(architecture: Architecture) -> None:
    check_marks(architecture)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_every_published_network_draws(name: str) -> None:
    check_marks(build_published(name))


@pytest.mark.parametrize("name", space_names())
def test_the_covering_members_of_every_space_draw(name: str) -> None:
    space = load_space(name)
    for decisions in space.cover()[:4]:
        check_marks(space.build(decisions))


@given(architectures())
def test_marks_lie_inside_the_drawing(architecture: Architecture) -> None:
    placement = place(architecture)
    for x, y in placement.points:
        assert 0 <= x <= placement.width
        assert -placement.top <= y <= placement.bottom


@given(architectures(cells=0))
def test_edges_run_from_left_to_right(architecture: Architecture) -> None:
    points = place(architecture).points
    assert all(points[edge.source][0] < points[edge.target][0] for edge in architecture.edges)


def test_every_mark_tells_its_name() -> None:
    architecture = Architecture(
        (Node(name="input"), Node("conv3x3", width=8, stride=2, name="stem"), Node(merge="sum")),
        (Edge(0, 1), Edge(1, 2), Edge(0, 2, "zero_pad")),
    )
    titles = [
        title.text for title in drawings(draw_architecture(architecture))[0].iter(f"{SVG}title")
    ]
    assert "stem, conv3x3, one input, 8 channels, stride 2" in titles
    assert "node 2, identity, sum of 2" in titles
    assert "input to 2 (zero_pad)" in titles


def test_hostile_names_are_text() -> None:
    hostile = Architecture(
        (Node(name=HOSTILE), Node(HOSTILE, name=f"{HOSTILE}2"), Node("identity", merge=HOSTILE)),
        (Edge(0, 1, HOSTILE), Edge(1, 2), Edge(0, 2)),
    )
    text = draw_architecture(hostile, title=HOSTILE)
    svg = drawings(text)[0]
    assert not list(svg.iter(f"{SVG}script"))
    assert "<script" not in text
    assert svg[0].text == HOSTILE


@pytest.mark.parametrize(
    ("operation", "label", "colour"),
    [
        ("conv3x3", "3x3", "conv"),
        ("separable5x5", "sep 5x5", "separable"),
        ("mbconv3x3", "mb 3x3", "mbconv"),
        ("avg_pool3x3", "avg 3x3", "pool"),
        ("relu", "relu", "other"),
    ],
)
def test_operations_have_short_labels_and_a_colour_per_family(
    operation: str, label: str, colour: str
) -> None:
    assert short_label(Node(operation)) == label
    assert family(Node(operation)) == colour
    assert colour in FAMILY_COLOURS


def test_a_node_that_is_a_network_is_drawn_as_a_cell() -> None:
    cell = Architecture((Node(), Node("conv3x3", width=4)), (Edge(0, 1),))
    outer = Architecture((Node(), replace(Node(), cell=cell)), (Edge(0, 1),))
    assert short_label(outer.nodes[1]) == "cell"
    assert family(outer.nodes[1]) == "cell"
    assert len(drawings(draw_architecture(outer, "net"))) == 2
