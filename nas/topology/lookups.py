"""What the names in a graph mean, or an error that says which node or edge asks for the unknown."""

from __future__ import annotations

from nas.errors import ArchitectureError
from nas.topology.graph import Architecture, Edge
from nas.topology.merges import MERGES, Merge
from nas.topology.operations import OPERATIONS, Operation

RESERVED_TRANSFORMS = ("auto", "project", "zero_pad")
"""Transforms of an edge that are no operations."""


def node_operation(architecture: Architecture, index: int) -> Operation:
    """Return the operation of a node.

    Raises:
        ArchitectureError: If it is unknown.
    """
    name = architecture.nodes[index].operation
    if name not in OPERATIONS:
        error = OPERATIONS.unknown(name)
        raise ArchitectureError(error.what, where=architecture.label(index), fix=error.fix)
    return OPERATIONS.get(name)


def node_merge(architecture: Architecture, index: int) -> Merge:
    """Return the merge of a node.

    Raises:
        ArchitectureError: If it is unknown.
    """
    name = architecture.nodes[index].merge
    if name not in MERGES:
        error = MERGES.unknown(name)
        raise ArchitectureError(error.what, where=architecture.label(index), fix=error.fix)
    return MERGES.get(name)


def edge_operation(edge: Edge) -> Operation:
    """Return the operation that an edge's transform names.

    Raises:
        ArchitectureError: If there is no such transform.
    """
    if edge.transform not in OPERATIONS:
        error = OPERATIONS.unknown(edge.transform)
        raise ArchitectureError(
            f"Unknown transform '{edge.transform}'.",
            where=f"edge {(edge.source, edge.target)}",
            fix=f"{error.fix} Further transforms: {', '.join(RESERVED_TRANSFORMS)}.",
        )
    return OPERATIONS.get(edge.transform)
