"""Architectures as the page draws them: every node and edge once, and costs that add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dashboard_documents import types
from hypothesis import given
from strategies import INPUT_SHAPE, architectures

from dashboards.documents.architecture import MOST_NODES, architecture_document
from nas.cost.count import cost
from nas.space import load_space
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.layers import Shape
from nas.topology.published import PUBLISHED, build_published, usual_images

SHAPE = (3, 16, 16)


def check(architecture: Architecture, shape: Shape, classes: int) -> dict[str, Any]:
    """Draw a network and return the document, which keeps its type and holds together."""
    found = architecture_document(architecture, shape, classes, identity="s1-0")
    assert types().problems("ArchitectureDocument", found) == []
    nodes = [node["id"] for node in found["nodes"]]
    edges = [edge["id"] for edge in found["edges"]]
    groups = [group["id"] for group in found["groups"]]
    for ids in (nodes, edges, groups):
        assert len(set(ids)) == len(ids)
    assert {edge[end] for edge in found["edges"] for end in ("source", "target")} <= set(nodes)
    inside = [node["group"] for node in found["nodes"]]
    inside += [group["parent"] for group in found["groups"]]
    assert set(inside) - {None} <= set(groups)
    known = cost(architecture, shape, classes)
    heads = found["cost"]["exit_parameters"]
    assert sum(node["parameters"] for node in found["nodes"]) + heads == known.parameters
    assert sum(node["macs"] for node in found["nodes"]) == known.macs
    assert min(node["parameters"] for node in found["nodes"]) >= 0
    return found


def total(architecture: Architecture, what: str) -> int:
    """Count nodes or edges with those of all nested cells."""
    own = len(getattr(architecture, what))
    return own + sum(total(node.cell, what) for node in architecture.nodes if node.cell)


def cells(architecture: Architecture) -> int:
    """Count nested cells."""
    inner = [node.cell for node in architecture.nodes if node.cell]
    return len(inner) + sum(map(cells, inner))


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_published_networks_are_drawn_whole(name: str) -> None:
    architecture = build_published(name)
    found = check(architecture, *usual_images(name))
    head = int(architecture.head == "classifier")
    # A cell is drawn as its own nodes: the node that holds it has no mark of its own.
    assert len(found["nodes"]) == total(architecture, "nodes") - cells(architecture) + head
    assert len(found["edges"]) == total(architecture, "edges") + head


@given(architecture=architectures())
def test_random_networks_are_drawn_whole(architecture: Architecture) -> None:
    check(architecture, INPUT_SHAPE, 10)


@pytest.mark.parametrize("name", ["wired_cnn", "nasbench201", "resnet20_edits"])
def test_members_of_the_shipped_spaces_are_drawn_whole(name: str) -> None:
    space = load_space(name)
    for seed in range(2):
        check(space.build(space.sample(np.random.default_rng(seed))), (3, 32, 32), 10)


def test_tied_cells_have_their_weights_once() -> None:
    inner = Architecture((Node(name="a"), Node("conv3x3", width=8, name="b")), (Edge(0, 1),))
    nodes = (
        Node(name="input"),
        Node("conv3x3", width=8, name="stem"),
        Node(cell=inner, tie="t", name="cell1"),
        Node(cell=inner, tie="t", name="cell2"),
    )
    found = check(Architecture(nodes, (Edge(0, 1), Edge(1, 2), Edge(2, 3))), SHAPE, 10)
    counted = {node["id"]: node["parameters"] for node in found["nodes"]}
    assert counted["cell1/b"] > 0 and counted["cell2/b"] == counted["cell2/a"] == 0


def test_what_is_nested_too_deep_to_be_drawn_stays_closed() -> None:
    graph = Architecture((Node(name="a"), Node("conv1x1", name="b")), (Edge(0, 1),))
    for _ in range(11):
        nodes = (Node(name="a"), Node(cell=graph, name="b"), Node(cell=graph, name="c"))
        graph = Architecture(nodes, (Edge(0, 1), Edge(1, 2)))
    found = check(graph, (3, 4, 4), 2)
    assert 100 < len(found["nodes"]) <= MOST_NODES + 1
    assert "cell" in {node["operation"] for node in found["nodes"]}


def test_names_that_are_no_names_stay_text_and_unique() -> None:
    names = ("a/b", "a|b", "<script>", "")
    nodes = tuple(
        Node("conv1x1" if index else "identity", name=name) for index, name in enumerate(names)
    )
    check(Architecture(nodes, (Edge(0, 1), Edge(1, 2), Edge(2, 3))), SHAPE, 10)
