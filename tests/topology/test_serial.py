"""JSON of architectures: nothing is lost, and every fault is named."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from strategies import architectures

from nas.errors import ArchitectureError, TopologyError
from nas.topology import serial
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.patterns import PATTERNS
from nas.topology.serial import architecture_text, dump_architecture, load_architecture

PLAIN: dict[str, Any] = {
    "schema": "nas.architecture/1",
    "nodes": [{}, {"operation": "conv3x3", "width": 8, "name": "stem"}, {"merge": "mean"}],
    "edges": [[0, 1], [1, 2], [0, 2]],
}


def changed(**fields: Any) -> dict[str, Any]:
    return {**PLAIN, **fields}


def with_node(**fields: Any) -> dict[str, Any]:
    return changed(nodes=[{}, {"name": "stem", **fields}, {}])


@pytest.mark.fault("D12")
@given(network=architectures(cells=2))
def test_what_is_dumped_loads_as_the_same(network: Architecture) -> None:
    assert load_architecture(dump_architecture(network)) == network
    assert load_architecture(architecture_text(network)) == network
    assert load_architecture(architecture_text(network)).wiring == network.wiring


def test_every_field_survives() -> None:
    inner = Architecture((Node(), Node("relu", name="r")), (Edge(0, 1),))
    network = Architecture(
        (
            Node(name="input"),
            Node("conv5x5", "stack", "rsqrt", 6, 2, "shared", None, "op1"),
            Node(cell=inner, name="ü"),
            Node(),
        ),
        (Edge(0, 1, "relu"), Edge(0, 2, "auto", "query"), Edge(1, 3), Edge(2, 3, "zero_pad")),
        ("dense", "chain"),
        zero_allowed=True,
    )
    back = load_architecture(architecture_text(network))
    assert back == network
    assert back.wiring == ("dense", "chain")
    assert back.nodes[2].cell == inner


def test_defaults_are_left_out() -> None:
    network = load_architecture(PLAIN)
    assert dump_architecture(network) == {**PLAIN, "edges": [[0, 1], [0, 2], [1, 2]]}


def test_equal_architectures_have_equal_text() -> None:
    text = architecture_text(load_architecture(PLAIN))
    assert text == architecture_text(load_architecture(changed(edges=[[0, 2], [0, 1], [1, 2]])))
    assert "\n" not in text


@pytest.mark.fault("C2", "C3")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"An architecture is a JSON object, not a list"),
        ({"nodes": [], "edges": []}, r"no key 'schema'[\s\S]*nas.architecture/1"),
        (changed(schema="nas.space/1"), r"schema is 'nas.space/1', not 'nas.architecture/1'"),
        (
            changed(schema="nas.architecture/7"),
            r"'nas.architecture/7', which is newer than 'nas.architecture/1'[\s\S]*Update",
        ),
        (changed(edgs=[]), r"Unknown key 'edgs'[\s\S]*Did you mean 'edges'"),
        (changed(nodes=None), r"no 'nodes'"),
        (changed(nodes={}), r"nodes must be a list, not an object"),
        (changed(nodes=[{}, "conv", {}]), r'nodes\[1\] must be an object, not text: "conv"'),
        (changed(zero_allowed=1), r"zero_allowed must be true or false, not a number: 1"),
        (changed(wiring=[3]), r"wiring\[0\] must be text, not a number: 3"),
        (with_node(widht=3), r"Unknown key 'widht' in nodes\[1\] \('stem'\)[\s\S]*'width'"),
        (with_node(operation="conv3"), r"Unknown operation 'conv3'[\s\S]*stem[\s\S]*'conv3x3'"),
        (with_node(operation=3), r"nodes\[1\] \('stem'\).operation must be text"),
        (
            with_node(merge="add"),
            r"Unknown merge 'add'[\s\S]*stem[\s\S]*concat, [\s\S]*mean, [\s\S]*stack, sum",
        ),
        (with_node(scale="half"), r"Unknown scale 'half'[\s\S]*stem[\s\S]*auto, none, rsqrt"),
        (with_node(width="8"), r'\(\'stem\'\).width must be a whole number, not text: "8"'),
        (with_node(width=True), r"width must be a whole number, not true or false"),
        (with_node(width=2.5), r"width must be a whole number, not a number: 2.5"),
        (with_node(width=-1), r"width is -1; it must lie between 1 and[\s\S]*The nearest is 1"),
        (with_node(width=10**12), r"width is 1000000000000; it must lie between 1 and"),
        (with_node(stride=0), r"\('stem'\).stride is 0"),
        (with_node(tie=None), r"tie must be text, not null"),
        (with_node(cell=[]), r"cell must be an object with nodes and edges, not a list"),
        (with_node(name="\ud800"), r"half of a surrogate pair"),
        (
            with_node(cell={"nodes": [{}, {}], "edges": [[0, 1]], "x": 1}),
            r"'x' in nodes\[1\].*cell",
        ),
        (
            with_node(cell={"nodes": [{}, {"operation": "nope"}], "edges": [[0, 1]]}),
            r"Unknown operation 'nope'[\s\S]*stem'\).cell.nodes\[1\]",
        ),
        (changed(edges=[[0, 1], 3]), r"edges\[1\] must be \[source, target\]"),
        (changed(edges=[[0]]), r"edges\[0\] must be \[source, target\]"),
        (changed(edges=[[0, "1"]]), r"edges\[0\] must be a pair of node numbers"),
        (changed(edges=[[0, True]]), r"edges\[0\] must be a pair of node numbers"),
        (changed(edges=[[0, 1, "conv9x9"]]), r"Unknown transform 'conv9x9' on the edge \(0, 1\)"),
        (changed(edges=[[0, 1, 5]]), r"edges\[0\] must be text"),
    ],
)
def test_a_fault_is_named_with_its_place(data: Any, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        load_architecture(data)


@pytest.mark.fault("D1", "D2", "D3", "D4")
@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[0, 1], [1, 2], [2, 1]], r"cycle: 1→2→1"),
        ([[0, 1], [1, 0]], r"cycle: 0→1→0"),
        ([[0, 1], [1, 1], [1, 2]], r"cycle: 1→1"),
        ([[0, 2], [2, 1]], r"\(2, 1\) runs backwards"),
        ([[0, 2]], r"Node 1 \('stem'\) is disconnected"),
        ([[0, 1], [1, 7]], r"names a node that is not there"),
        ([[0, 1], [1, 2], [1, 2]], r"is there twice"),
        ([], r"disconnected"),
    ],
)
def test_a_graph_that_is_none_is_refused(edges: list[list[int]], message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        load_architecture(changed(edges=edges))


def test_a_fault_inside_a_cell_names_the_cell() -> None:
    cyclic = {"nodes": [{}, {}], "edges": [[0, 1], [1, 0]]}
    with pytest.raises(TopologyError, match=r"cycle: 0→1→0[\s\S]*nodes\[1\] \('stem'\).cell"):
        load_architecture(with_node(cell=cyclic))
    lonely = {"nodes": [{}, {}, {}], "edges": [[0, 2]]}
    with pytest.raises(TopologyError, match=r"Node 1 is disconnected[\s\S]*\('stem'\).cell"):
        load_architecture(with_node(cell=lonely))


@pytest.mark.fault("C5", "C6")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"not valid JSON.*[\s\S]*line 1"),
        ('{"schema": "a", "schema": "b"}', r"Key 'schema' stands twice"),
        ('{"nodes": NaN}', r"NaN is not a JSON number"),
        ('{"nodes": -Infinity}', r"-Infinity is not a JSON number"),
        ('{"nodes": ' + "9" * 5_000 + "}", r"not valid JSON"),
        ('{"a":' * 100_000, r"nested deeper|not valid JSON"),
        ("[1]", r"is a JSON object, not a list"),
        ("", r"not valid JSON"),
    ],
)
def test_text_that_is_not_strict_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        load_architecture(text)


@pytest.mark.fault("D7", "G-L3")
def test_text_beyond_the_limit_is_refused_at_once() -> None:
    text = " " * (serial.MAX_BYTES + 1)
    start = time.process_time()
    with pytest.raises(ArchitectureError, match=r"16,000,001 characters is beyond[\s\S]*nodes"):
        load_architecture(text)
    assert time.process_time() - start < 0.1


@pytest.mark.fault("D7")
def test_graphs_beyond_the_limits_are_refused_before_they_are_built() -> None:
    with pytest.raises(ArchitectureError, match="more than 10,000 nodes or 200,000 edges"):
        load_architecture(changed(nodes=[{}] * 10_001))
    with pytest.raises(ArchitectureError, match="at least 3 and 200,001"):
        load_architecture(changed(edges=[[0, 1]] * 200_001))


def test_cells_count_towards_the_limits() -> None:
    cell = {"nodes": [{}] * 5_000, "edges": [[n, n + 1] for n in range(4_999)]}
    with pytest.raises(ArchitectureError, match=r"more than 10,000 nodes[\s\S]*nodes\[2\].cell"):
        load_architecture(
            changed(nodes=[{}, {"cell": cell}, {"cell": cell}], edges=[[0, 1], [1, 2]])
        )


def test_cells_nest_to_a_limit() -> None:
    def nested(depth: int) -> dict[str, Any]:
        if depth == 0:
            return {"nodes": [{}, {}], "edges": [[0, 1]]}
        return {"nodes": [{}, {"cell": nested(depth - 1)}], "edges": [[0, 1]]}

    deepest = {"schema": serial.SCHEMA, **nested(serial.MAX_DEPTH)}
    assert load_architecture(json.dumps(deepest)) == load_architecture(deepest)
    with pytest.raises(ArchitectureError, match="nested deeper than 16 levels"):
        load_architecture({"schema": serial.SCHEMA, **nested(serial.MAX_DEPTH + 1)})


def test_the_widest_wiring_survives() -> None:
    """A dense wiring of 200 operations: 20,100 edges, far within the limits of the reader."""
    topology = PATTERNS.get("dense").wire(200)
    network = Architecture((Node(),) * 201, tuple(Edge(*pair) for pair in topology.edges))
    assert load_architecture(architecture_text(network)) == network
