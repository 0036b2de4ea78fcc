"""Simplification computes the same function: numbers through a network and through its values."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import architectures

from nas.errors import ArchitectureError
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.identity import executed_id, sharing_id, structural_id
from nas.topology.merges import MERGES
from nas.topology.operations import OPERATIONS
from nas.topology.simplify import ZERO, _build, _Values, simplify
from nas.topology.symbolic import (
    INPUT_SHAPE,
    SymbolicInput,
    SymbolicShape,
    channels_text,
    shape_text,
    symbolic_step,
)

START = 0.7
"""What flows in; every tensor is stood for by one number."""

Weights = tuple[object, ...]


def number(*key: object) -> float:
    """A number between 0.5 and 1.5 that belongs to `key`."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return 0.5 + int.from_bytes(digest[:6], "big") / 2**48


def applied(label: str, weights: Weights | None, value: float) -> float:
    """A nonlinear function of its own for every label and weights; nothing comes of nothing."""
    if label in ("scalar", "projection"):
        return value * number(weights)
    return math.sin(3.0 * number(label, weights) * value)


def run_network(
    network: Architecture, start: float, shape: SymbolicShape, scope: Weights
) -> tuple[float, SymbolicShape]:
    """Run node after node, as a compiled network does, with no simplification at all."""
    outputs, shapes = [start], [shape]
    for index, node in enumerate(network.nodes[1:], start=1):
        step = symbolic_step(network, index, shapes, shape)
        live = [entry for entry in step.inputs if entry.kind != "none"]
        terms = [run_edge(entry, outputs[entry.edge.source], (scope, index)) for entry in live]
        value = run_merge(node, terms, [(scope, index, "merge", entry.edge) for entry in live])
        weights = (scope, "node", index) if node.tie is None else (scope, "tie", node.tie)
        weights = (*weights, "own norms", index) if node.own_norms else weights
        output = step.output
        if node.cell is not None:
            value, output = run_network(node.cell, value, step.merged, weights)
        else:
            value = run_operation(node.operation, node.stride, output, value, weights)
        outputs.append(value)
        shapes.append(output)
    return outputs[-1], shapes[-1]


def run_operation(
    name: str, stride: int, output: SymbolicShape, value: float, weights: Weights
) -> float:
    operation = OPERATIONS.get(name)
    if not operation.layers:
        return 0.0 if operation.zero else value
    label = f"{name} {channels_text(output.channels)} {stride}"
    return applied(label, weights if operation.parametric else None, value)


def run_edge(entry: SymbolicInput, value: float, own: Weights) -> float:
    weights, edge = (*own, "edge", entry.edge), entry.edge
    if edge.part != (0, 1):
        value = applied(f"part {edge.part[0]}/{edge.part[1]}", None, value)
    value = run_adapter(entry, value, weights)
    if edge.gain.kind == "none":
        return value
    learned = None if edge.gain.kind == "fixed" else (*weights, "gain")
    return applied(f"gain {edge.gain.kind} {edge.gain.value!r}", learned, value)


def run_adapter(entry: SymbolicInput, value: float, weights: Weights) -> float:
    if entry.operation is not None:
        return run_operation(entry.operation.name, 1, entry.target, value, weights)
    if entry.kind == "identity":
        return value
    learned = weights if "project" in entry.kind else None
    return applied(f"{entry.kind} {shape_text(entry.target)}", learned, value)


def run_merge(node: Node, terms: list[float], keys: list[Weights]) -> float:
    if len(terms) < 2:
        return terms[0] if terms else 0.0
    rule = MERGES.get(node.merge)
    if rule.weight != "identity":
        terms = [applied(rule.weight, key, term) for term, key in zip(terms, keys, strict=True)]
    power = {"none": 0.0, "rsqrt": -0.5, "mean": -1.0}[rule.resolve_scale(node.scale)]
    return math.fsum(terms) * len(terms) ** power


def run_values(network: Architecture) -> float:
    """Run the simplified network: one number per value."""
    values = _Values(sharing=True)
    root, _ = _build(values, network, (values.add("input", ()), INPUT_SHAPE), ())
    results: list[float] = []
    for value, label in enumerate(values.labels):
        entries = [(results[source], text) for source, text in values.arguments[value]]
        kind, _, divisor = label.partition("/")
        if label == "input":
            results.append(START)
        elif kind in ("sum", "scalar", "projection") and divisor:
            total = math.fsum(int(text or 1) * term for term, text in entries)
            results.append(total * int(divisor) ** -0.5)
        else:
            results.append(applied(label, values.weights.get(value), entries[0][0]))
    return 0.0 if root == ZERO else results[root]


@st.composite
def networks(draw: st.DrawFn, *, transforms: bool = True) -> Architecture:
    """Networks with joins in a row, dead ends, and nodes that compute nothing."""
    names = ("identity", "conv3x3", "identity", "relu", "conv1x1", "max_pool3x3", "none")
    merges = ("sum", "mean", "weighted", "concat")
    network = draw(architectures(8, merges=merges, operations=names, transforms=transforms))
    if not draw(st.booleans()):
        return network
    gone = draw(st.integers(0, len(network.edges) - 1))
    edges = network.edges[:gone] + network.edges[gone + 1 :]
    return Architecture(network.nodes, edges, zero_allowed=True)


@given(network=networks())
def test_the_values_give_the_numbers_of_the_network(network: Architecture) -> None:
    expected, _ = run_network(network, START, INPUT_SHAPE, ())
    assert run_values(network) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(network=networks())
def test_simplifying_leaves_no_identity_and_no_dead_end(network: Architecture) -> None:
    graph = simplify(network)
    read = {source for source, _, _ in graph.edges}
    assert len(graph.labels) - len(read) == 1
    for vertex, label in enumerate(graph.labels):
        counts = [text for _, target, text in graph.edges if target == vertex]
        assert "identity" not in label
        assert label != "sum/1" or counts != [""]


@given(network=networks(transforms=False))
def test_an_identity_in_every_edge_changes_no_id_but_the_executed_one(
    network: Architecture,
) -> None:
    place: list[int] = []
    nodes: list[Node] = []
    edges: list[Edge] = []
    for index, node in enumerate(network.nodes):
        into = network.inputs(index)
        target = len(nodes) + len(into)
        for between, edge in enumerate(into, start=len(nodes)):
            kept = replace(edge, source=between, target=target)
            edges += [Edge(place[edge.source], between), kept]
        nodes += [Node()] * len(into) + [node]
        place.append(target)
    longer = Architecture(tuple(nodes), tuple(edges), zero_allowed=network.zero_allowed)
    assert structural_id(longer) == structural_id(network)
    assert sharing_id(longer) == sharing_id(network)
    assert (executed_id(longer) == executed_id(network)) is (not network.edges)


def test_sums_that_would_fill_the_memory_are_refused_with_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nas.topology.simplify.MAX_TERMS", 2_500)
    blocks = 80
    nodes = [Node(name="input")]
    edges: list[Edge] = []
    for block in range(blocks):
        state = 2 * block
        nodes += [Node("relu"), Node("identity")]
        edges += [Edge(state, state + 1), Edge(state, state + 2), Edge(state + 1, state + 2)]
    with pytest.raises(ArchitectureError, match=r"more than 2,500 terms[\s\S]*some 2,000"):
        structural_id(Architecture(tuple(nodes), tuple(edges)))
