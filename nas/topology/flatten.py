"""Flattening: a nested cell gives way to the nodes it holds, and the network stays the same.

The node of a cell becomes an identity node that merges what the cell read, followed by the cell's
own nodes. Numbers keep their order, so every main input and every stack stays what it was. Two
kinds of cells stay nested, because flat ties and flat zeros cannot say the same: cells in which a
node has no input, and tied cells whose merges or adapters have weights of their own (`Node.tie`
shares those of a whole cell, but only the operation's of a plain node).
"""

from __future__ import annotations

from dataclasses import replace

from nas.topology.graph import Architecture, Edge, Node
from nas.topology.symbolic import INPUT_SHAPE, SymbolicStep, architecture_shapes, symbolic_step


def flatten(architecture: Architecture) -> Architecture:
    """Return the architecture with its cells replaced by their nodes, at every level.

    Names of inner nodes get the name of the cell's node in front: `stage1.cell1.op2`.
    """
    nodes: list[Node] = []
    edges: list[Edge] = []
    ends: list[int] = []
    zero_allowed = architecture.zero_allowed
    for index, node in enumerate(architecture.nodes):
        into = len(nodes)
        edges.extend(
            replace(edge, source=ends[edge.source], target=into)
            for edge in architecture.inputs(index)
        )
        inner = None if node.cell is None else flatten(node.cell)
        if inner is None or not _can_dissolve(node, inner):
            nodes.append(node if inner is None else replace(node, cell=inner))
        else:
            zero_allowed |= inner.zero_allowed
            _dissolve(node, inner, nodes, edges)
        ends.append(len(nodes) - 1)
    return replace(architecture, nodes=tuple(nodes), edges=tuple(edges), zero_allowed=zero_allowed)


def _dissolve(node: Node, inner: Architecture, nodes: list[Node], edges: list[Edge]) -> None:
    start = len(nodes)
    prefix = f"{node.name}." if node.name else ""
    scope = f"cell {start}" if node.tie is None else f"tie {node.tie}"
    nodes.append(Node(merge=node.merge, scale=node.scale, name=node.name and f"{prefix}in"))
    last = len(inner.nodes) - 1
    for index, entry in enumerate(inner.nodes[1:], start=1):
        tie = None if entry.tie is None else f"{scope}: {entry.tie}"
        if node.tie is not None and entry.tie is None:
            tie = f"{scope}, node {index}"  # no tie of the cell's own reads like this
        nodes.append(
            replace(
                entry,
                tie=tie,
                name=entry.name and f"{prefix}{entry.name}",
                own_norms=entry.own_norms or node.own_norms,
                exit=node.exit and index == last,
            )
        )
    edges.extend(
        replace(edge, source=edge.source + start, target=edge.target + start)
        for edge in inner.edges
    )


def _can_dissolve(node: Node, inner: Architecture) -> bool:
    """Tell whether the flat network says the same as the nested one."""
    shapes = [INPUT_SHAPE]
    for index in range(1, len(inner.nodes)):
        step = symbolic_step(inner, index, shapes, INPUT_SHAPE)
        if step.degree == 0 or (node.tie is not None and _owns_weights(step)):
            return False
        cell = inner.nodes[index].cell
        shapes.append(step.output if cell is None else architecture_shapes(cell, step.merged)[-1])
    return True


def _owns_weights(step: SymbolicStep) -> bool:
    """Tell whether the merge or an edge may have weights, whatever the input's shape."""
    if step.degree > 1 and step.rule.parameters:
        return True
    return any(
        entry.edge.gain.learned
        or entry.kind in ("project", "resample_project")
        or (entry.operation is not None and entry.operation.parametric)
        for entry in step.inputs
    )
