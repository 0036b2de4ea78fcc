"""The DOT text of a network: complete, and names in it are text."""

from __future__ import annotations

import re

from hypothesis import given
from strategies import architectures

from nas.topology.dot_drawing import dot_text
from nas.topology.graph import Architecture, Edge, Node

STATEMENT = re.compile(
    r'  (\d+)(?: -> (\d+))?(?: \[(?:\w+="(?:[^"\\\n]|\\.)*"(?:, )?)+\])?;', re.DOTALL
)


@given(architectures())
def test_every_node_and_edge_is_one_statement(architecture: Architecture) -> None:
    head, *lines, foot = dot_text(architecture).splitlines()
    assert head == "digraph architecture {" and foot == "}"
    found = [STATEMENT.fullmatch(line) for line in lines[2:]]
    assert all(found)
    pairs = [(match[1], match[2]) for match in found if match]
    assert [int(node) for node, target in pairs if target is None] == list(
        range(len(architecture.nodes))
    )
    assert [(int(a), int(b)) for a, b in pairs if b is not None] == [
        (edge.source, edge.target) for edge in architecture.edges
    ]


def test_hostile_names_stay_inside_their_quotes() -> None:
    hostile = 'x"; evil [label=<<b>y</b>>];\\'
    network = Architecture(
        (Node(name="a\x1b[31m"), Node("conv3x3", width=4, name=hostile)),
        (Edge(0, 1, transform="conv1x1"),),
    )
    text = dot_text(network)
    assert all(STATEMENT.fullmatch(line) for line in text.splitlines()[3:-1])
    assert "\x1b" not in text
    assert 'x\\"; evil' in text and "conv1x1" in text
