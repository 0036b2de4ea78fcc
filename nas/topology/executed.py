"""The graph of everything an architecture runs, dead edges, dead nodes and identities included."""

from __future__ import annotations

from nas.topology.canonical import LabelledEdge, LabelledGraph
from nas.topology.facts import WHOLE
from nas.topology.graph import Architecture, Node
from nas.topology.simplify import SHAPE_PORTS, gain_text
from nas.topology.symbolic import (
    INPUT_SHAPE,
    SymbolicInput,
    SymbolicShape,
    SymbolicStep,
    channels_text,
    shape_text,
    symbolic_step,
)


def executed_graph(architecture: Architecture) -> LabelledGraph:
    """Return one vertex per node and one edge per connection, labelled with what they run.

    The nodes of a cell stand in its place, behind one vertex for the merge in front of it.

    Raises:
        ArchitectureError: If an operation, merge or transform is unknown.
    """
    labels, edges = ["input"], list[LabelledEdge]()
    last, _ = _build(architecture, 0, INPUT_SHAPE, labels, edges)
    labels[last] = f"output {labels[last]}"
    return LabelledGraph(tuple(labels), tuple(edges))


def _build(
    architecture: Architecture,
    start: int,
    shape: SymbolicShape,
    labels: list[str],
    edges: list[LabelledEdge],
) -> tuple[int, SymbolicShape]:
    vertices, shapes = [start], [shape]
    for index in range(1, len(architecture.nodes)):
        node = architecture.nodes[index]
        step = symbolic_step(architecture, index, shapes, shape)
        vertex, output = len(labels), step.output
        labels.append(f"{_merge_text(node, step)} {_operation_text(node, step)}")
        edges.extend(
            (vertices[entry.edge.source], vertex, _edge_text(entry, step, role))
            for entry, role in zip(step.inputs, _roles(step), strict=True)
        )
        if node.cell is not None:
            vertex, output = _build(node.cell, vertex, step.merged, labels, edges)
        vertices.append(vertex)
        shapes.append(output)
    return vertices[-1], shapes[-1]


def _merge_text(node: Node, step: SymbolicStep) -> str:
    """Name the merge where it merges; zeros are told apart by their shape."""
    if step.degree > 1:
        return f"{step.rule.text}/{step.rule.resolve_scale(node.scale)}"
    return "" if step.degree else shape_text(step.merged)


def _operation_text(node: Node, step: SymbolicStep) -> str:
    if step.operation is None or not step.operation.layers:
        return "none" if step.operation is not None and step.operation.zero else "identity"
    return f"{step.operation.name} {channels_text(step.output.channels)} {node.stride}"


def _roles(step: SymbolicStep) -> list[str]:
    """Return what each input is to the merge: its place in a stack, else its role."""
    live = [entry for entry in step.inputs if entry.kind != "none"]
    if len(live) < 2:
        return [""] * len(step.inputs)
    if step.rule.weight == "stacked":
        return ["" if entry.kind == "none" else str(n) for n, entry in enumerate(step.inputs)]
    roles = iter(step.rule.input_roles([entry.edge.port for entry in live]))
    return ["" if entry.kind == "none" else next(roles) for entry in step.inputs]


def _edge_text(entry: SymbolicInput, step: SymbolicStep, role: str) -> str:
    edge = entry.edge
    known = edge.port in SHAPE_PORTS or step.rule.roles == "mask"
    parts = [] if known else [f"port {edge.port}"]
    if edge.part != WHOLE:
        parts.append(f"part {edge.part[0]}/{edge.part[1]}")
    if role:
        parts.append(role)
    if entry.operation is not None:
        parts.append(f"{entry.operation.name} {channels_text(entry.target.channels)}")
    elif entry.kind == "none":
        parts.append("none")
    elif entry.kind != "identity":
        parts.append(f"{entry.kind} {shape_text(entry.target)}")
    if not edge.gain.identity:
        parts.append(gain_text(edge.gain))
    return " ".join(parts)
