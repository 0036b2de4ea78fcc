"""Drawings of architectures: well-formed, complete, every edge distinct, and safe to embed."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from strategies import architectures

from nas.space import load_space, space_names
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.published import PUBLISHED, build_published
from nas.topology.svg_drawing import (
    FAMILY_COLOURS,
    MOST_CELLS,
    different_cells,
    draw_architecture,
    family,
    short_label,
)
from nas.topology.svg_places import GAP, NODE_HEIGHT, NODE_WIDTH, place

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert('x')</script>\"&]]>"


def drawing(text: str) -> ElementTree.Element:
    """Parse a drawing, which is one whole element."""
    return ElementTree.fromstring(text)


def check_marks(architecture: Architecture) -> None:
    root = drawing(draw_architecture(architecture))
    cells = different_cells(architecture)[:MOST_CELLS]
    panels = [root, *root.findall(f"{SVG}svg")]
    assert len(panels) == 1 + len(cells)
    for svg, graph in zip(panels, [architecture, *cells], strict=True):
        groups = [group.get("class") for group in svg.findall(f"{SVG}g")]
        assert len(groups) == len(graph.nodes)
        assert set(groups) <= {"node", "join"}
        edges = svg.findall(f"{SVG}path")
        assert len(edges) == len(graph.edges)
        assert len({path.get("d") for path in edges}) == len(edges)


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
    assert all(track is None or -placement.top < track for track in placement.routes)


@given(architectures(cells=0))
def test_no_edge_passes_through_a_foreign_node_or_lies_on_another(
    architecture: Architecture,
) -> None:
    placement = place(architecture)
    boxes = [
        (x - NODE_WIDTH / 2, x + NODE_WIDTH / 2, y - NODE_HEIGHT / 2, y + NODE_HEIGHT / 2)
        for x, y in placement.points
    ]
    flat: list[tuple[float, float, float]] = []
    for edge, track in zip(architecture.edges, placement.routes, strict=True):
        left = placement.points[edge.source][0] + NODE_WIDTH / 2
        right = placement.points[edge.target][0] - NODE_WIDTH / 2
        between = [box for box in boxes if box[1] > left and box[0] < right]
        if track is None:
            assert not between  # it runs in the gap behind its source alone
            continue
        # Where it rises and falls there are no nodes, and its flat part is above all of them.
        low, high = left + GAP, right - GAP
        assert all(box[0] >= low - 1e-9 and box[1] <= high + 1e-9 for box in between)
        assert all(track < box[2] for box in between)
        assert all(track != other or high <= start or end <= low for start, end, other in flat), (
            "two flat parts lie on each other"
        )
        flat.append((low, high, track))


def test_many_skips_over_the_same_nodes_each_have_a_track() -> None:
    size = 60
    dense = Architecture(
        tuple(Node("conv3x3" if index else "identity", width=4) for index in range(size)),
        tuple(Edge(a, b) for b in range(size) for a in range(b)),
    )
    tracks = [track for track in place(dense).routes if track is not None]
    assert len(tracks) == size * (size - 1) // 2 - (size - 1)
    over_the_middle = [
        track
        for edge, track in zip(dense.edges, place(dense).routes, strict=True)
        if edge.source < size // 2 < edge.target and track is not None
    ]
    assert len(set(over_the_middle)) == len(over_the_middle)


@given(architectures(cells=0))
def test_edges_run_from_left_to_right(architecture: Architecture) -> None:
    points = place(architecture).points
    assert all(points[edge.source][0] < points[edge.target][0] for edge in architecture.edges)


def test_every_mark_tells_its_name() -> None:
    architecture = Architecture(
        (Node(name="input"), Node("conv3x3", width=8, stride=2, name="stem"), Node(merge="sum")),
        (Edge(0, 1), Edge(1, 2), Edge(0, 2, "zero_pad")),
    )
    titles = [title.text for title in drawing(draw_architecture(architecture)).iter(f"{SVG}title")]
    assert "stem, conv3x3, one input, 8 channels, stride 2" in titles
    assert "node 2, identity, sum of 2" in titles
    assert "input to 2 (zero_pad)" in titles


def test_hostile_names_are_text() -> None:
    hostile = Architecture(
        (Node(name=HOSTILE), Node(HOSTILE, name=f"{HOSTILE}2"), Node("identity", merge=HOSTILE)),
        (Edge(0, 1, HOSTILE), Edge(1, 2), Edge(0, 2)),
    )
    text = draw_architecture(hostile, title=HOSTILE)
    svg = drawing(text)
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


def test_different_cells_are_drawn_once_each_and_numbered() -> None:
    cell = Architecture((Node(), Node("conv3x3", width=4)), (Edge(0, 1),), wiring=("chain",))
    outer = Architecture(
        (Node(), replace(Node(), cell=cell), replace(Node(), cell=cell)), (Edge(0, 1), Edge(1, 2))
    )
    assert short_label(outer.nodes[1]) == "cell"
    assert family(outer.nodes[1]) == "cell"
    root = drawing(draw_architecture(outer, "net"))
    assert len(root.findall(f"{SVG}svg")) == 1
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts.count("cell 1") == 2 and "cell 1, chain" in texts


def test_cells_beyond_a_dozen_are_counted() -> None:
    cells = [
        Architecture((Node(), Node("conv3x3", width=width)), (Edge(0, 1),))
        for width in range(1, 15)
    ]
    outer = Architecture(
        (Node(), *(replace(Node(), cell=cell) for cell in cells)),
        tuple(Edge(place, place + 1) for place in range(len(cells))),
    )
    root = drawing(draw_architecture(outer))
    assert len(root.findall(f"{SVG}svg")) == MOST_CELLS
    assert "2 further cells not drawn" in [text.text for text in root.iter(f"{SVG}text")]


def test_parallel_edges_are_told_apart() -> None:
    twice = Architecture(
        (Node(), Node(merge="sum")), (Edge(0, 1), Edge(0, 1, "avg_pool3x3"), Edge(0, 1, "conv1x1"))
    )
    check_marks(twice)


def test_a_notebook_shows_the_drawing() -> None:
    network = Architecture((Node(), Node("conv3x3", width=4)), (Edge(0, 1),), wiring=("chain",))
    assert network._repr_svg_() == draw_architecture(network, "chain")
