"""One node made two, and two made one: insertions and deletions that keep what is around them."""

from __future__ import annotations

from dataclasses import replace

from nas.errors import ArchitectureError
from nas.topology.edits.base import check_node
from nas.topology.edits.nodes import DeleteNode, InsertNode
from nas.topology.graph import Architecture, Edge


def split_node(architecture: Architecture, index: int) -> InsertNode:
    """Return the insertion of a twin beside a node: same inputs, same operation, same readers.

    The twin stands right behind the node and has weights of its own, unless the node is tied. A
    reader that takes the mean reads what it read as long as both hold equal weights.

    Raises:
        ArchitectureError: If there is no such node, or it is the input or the output.
    """
    node = check_node(architecture, index, inner=True)
    twin = index + 1
    reads = (replace(edge, target=twin) for edge in architecture.inputs(index))
    read = (
        replace(edge, source=twin, target=edge.target + 1, port=_second(edge.port))
        for edge in architecture.edges
        if edge.source == index
    )
    name = f"{node.name}.twin" if node.name else ""
    return InsertNode(twin, replace(node, name=name), (*reads, *read))


def merge_nodes(architecture: Architecture, kept: int, gone: int) -> DeleteNode:
    """Return the deletion of a node whose inputs and readers another one takes over.

    An edge between the two goes; where the kept node has an edge already, it stays as it is.

    Raises:
        ArchitectureError: If one of them is not there, is the input or the output, or if the kept
            node would read a later one or be read by an earlier one.
    """
    for index in (kept, gone):
        check_node(architecture, index, inner=True)
    present = {(edge.source, edge.target) for edge in architecture.edges}
    bridges = set()
    for edge in architecture.edges:
        if gone not in (edge.source, edge.target) or kept in (edge.source, edge.target):
            continue
        ends = (edge.source, kept) if edge.target == gone else (kept, edge.target)
        if ends[0] >= ends[1]:
            raise _crossed(architecture, kept, gone, edge)
        if ends not in present:
            source, target = (end - (end > gone) for end in ends)
            port = _second(edge.port) if edge.target == gone else edge.port
            bridges.add(replace(edge, source=source, target=target, port=port))
    return DeleteNode(gone, tuple(sorted(bridges)))


def _second(port: str) -> str:
    """Return the port of an edge beside one of this port; a node has one main input at most."""
    return "default" if port == "main" else port


def _crossed(architecture: Architecture, kept: int, gone: int, edge: Edge) -> ArchitectureError:
    other = edge.source if edge.target == gone else edge.target
    between = architecture.label(other)
    return ArchitectureError(
        f"{architecture.label(kept)} cannot take the place of {architecture.label(gone).lower()}: "
        f"{between.lower()} lies between them.",
        fix=f"Keep node {gone} and drop {kept}, or rewire the edge {edge.source}-{edge.target}.",
    )
