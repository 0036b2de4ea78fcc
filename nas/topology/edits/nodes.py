"""Edits of nodes: split an edge by a new node, take a node out, change what a node computes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

import numpy as np

from nas.errors import ArchitectureError
from nas.topology.edits.base import (
    AbstractEdit,
    Vocabulary,
    check_edge,
    check_node,
    edge_text,
    edit_kind,
    moved,
    pick,
    rebuilt,
)
from nas.topology.graph import PLAIN, WHOLE, Architecture, Edge, Node
from nas.topology.merges import MERGES
from nas.topology.operations import OPERATIONS


@edit_kind
@final
@dataclass(frozen=True)
class InsertNode(AbstractEdit):
    """Put in a node with its edges; `split_edge` makes the one that splits an edge.

    Args:
        index: Its number; the nodes from there on move up by one.
        node: The node.
        edges: Its edges, with the numbers of the larger graph.
        drops: Edges that it replaces, with the numbers of the smaller graph.
    """

    name: ClassVar[str] = "insert_node"
    index: int
    node: Node
    edges: tuple[Edge, ...]
    drops: tuple[Edge, ...] = ()

    def apply(self, architecture: Architecture) -> Architecture:
        """Return the architecture with one more node."""
        last = len(architecture.nodes) - 1
        if not 1 <= self.index <= last:
            raise ArchitectureError(
                f"A new node cannot get the number {self.index}.",
                fix=f"It lies behind the input and before the output: 1 to {last}.",
            )
        stray = [edge for edge in self.edges if self.index not in (edge.source, edge.target)]
        if stray:
            raise ArchitectureError(
                f"The edge {edge_text(stray[0])} does not touch the new node {self.index}.",
                fix="Add it with add_edge.",
            )
        for edge in self.drops:
            check_edge(architecture, edge)
        number = {old: old + (old >= self.index) for old in range(last + 1)}
        kept = moved((edge for edge in architecture.edges if edge not in self.drops), number)
        nodes = (*architecture.nodes[: self.index], self.node, *architecture.nodes[self.index :])
        return rebuilt(architecture, nodes, (*kept, *self.edges), f"Inserting node {self.index}")

    def undo(self, architecture: Architecture) -> DeleteNode:
        """Return the deletion of the node, with the edges that it replaced."""
        return DeleteNode(self.index, self.drops)

    @classmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Draw an edge to split, an operation and a merge."""
        if not architecture.edges:
            return None
        edge = architecture.edges[int(rng.integers(len(architecture.edges)))]
        node = Node(pick(vocabulary.operations, rng), pick(vocabulary.merges, rng))
        index, edges, drops = _split(edge, edge.target)
        return cls(index, node, edges, drops)


@edit_kind
@final
@dataclass(frozen=True)
class DeleteNode(AbstractEdit):
    """Take a node out; `contract_node` makes the one whose readers read what the node read.

    Args:
        index: Its number; the nodes behind it move down by one.
        bridges: Edges that take its place, with the numbers of the smaller graph.
    """

    name: ClassVar[str] = "delete_node"
    index: int
    bridges: tuple[Edge, ...] = ()

    def apply(self, architecture: Architecture) -> Architecture:
        """Return the architecture without the node."""
        check_node(architecture, self.index, inner=True)
        kept = moved(architecture.edges, _numbers_without(architecture, self.index))
        nodes = architecture.nodes[: self.index] + architecture.nodes[self.index + 1 :]
        what = f"Deleting {architecture.label(self.index).lower()}"
        return rebuilt(architecture, nodes, (*kept, *self.bridges), what)

    def undo(self, architecture: Architecture) -> InsertNode:
        """Return the insertion of the node, with the edges it has."""
        node = check_node(architecture, self.index, inner=True)
        edges = tuple(
            edge for edge in architecture.edges if self.index in (edge.source, edge.target)
        )
        return InsertNode(self.index, node, edges, self.bridges)

    @classmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Draw a node between input and output."""
        if len(architecture.nodes) < 3:
            return None
        index = int(rng.integers(1, len(architecture.nodes) - 1))
        return cls(index, _bridges(architecture, index))


@edit_kind
@final
@dataclass(frozen=True)
class ChangeOperation(AbstractEdit):
    """Let a node compute something else.

    Args:
        index: Number of the node; it holds no cell.
        operation: Name of the operation.
        width: Output channels; None keeps those of the merged input.
        stride: Factor by which it lowers the resolution.
        tie: Nodes with the same tie share weights.
    """

    name: ClassVar[str] = "change_operation"
    index: int
    operation: str
    width: int | None = None
    stride: int = 1
    tie: str | None = None

    def apply(self, architecture: Architecture) -> Architecture:
        """Return the architecture with another operation at the node."""
        node = self._node(architecture)
        if self.operation not in OPERATIONS:
            error = OPERATIONS.unknown(self.operation)
            raise ArchitectureError(error.what, where=architecture.label(self.index), fix=error.fix)
        changed = replace(
            node, operation=self.operation, width=self.width, stride=self.stride, tie=self.tie
        )
        return _with_node(architecture, self.index, changed, "Changing the operation")

    def undo(self, architecture: Architecture) -> ChangeOperation:
        """Return the change back."""
        node = self._node(architecture)
        return ChangeOperation(self.index, node.operation, node.width, node.stride, node.tie)

    def _node(self, architecture: Architecture) -> Node:
        node = check_node(architecture, self.index)
        if node.cell is not None:
            raise ArchitectureError(
                f"{architecture.label(self.index)} holds a cell and has no operation.",
                fix="Use swap_cell, or edit_cell for what is inside.",
            )
        return node

    @classmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Draw a node and an operation; width and stride stay where the operation takes them."""
        index = int(rng.integers(1, len(architecture.nodes)))
        old = architecture.nodes[index]
        if old.cell is not None:
            return None
        name = pick(vocabulary.operations, rng)
        operation = OPERATIONS.get(name)
        return cls(
            index,
            name,
            None if operation.keeps_channels else old.width,
            old.stride if operation.can_stride else 1,
            old.tie if name == old.operation else None,
        )


@edit_kind
@final
@dataclass(frozen=True)
class ChangeMerge(AbstractEdit):
    """Let a node combine its inputs in another way."""

    name: ClassVar[str] = "change_merge"
    index: int
    merge: str
    scale: str = "auto"

    def apply(self, architecture: Architecture) -> Architecture:
        """Return the architecture with another merge at the node."""
        node = check_node(architecture, self.index)
        if self.merge not in MERGES:
            error = MERGES.unknown(self.merge)
            raise ArchitectureError(error.what, where=architecture.label(self.index), fix=error.fix)
        changed = replace(node, merge=self.merge, scale=self.scale)
        return _with_node(architecture, self.index, changed, "Changing the merge")

    def undo(self, architecture: Architecture) -> ChangeMerge:
        """Return the change back."""
        node = check_node(architecture, self.index)
        return ChangeMerge(self.index, node.merge, node.scale)

    @classmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Draw a node with several inputs, and another merge."""
        index = int(rng.integers(1, len(architecture.nodes)))
        merge = pick(vocabulary.merges, rng)
        if len(architecture.inputs(index)) < 2 or merge == architecture.nodes[index].merge:
            return None
        return cls(index, merge)


def split_edge(
    architecture: Architecture, edge: Edge, node: Node | None = None, *, late: bool = False
) -> InsertNode:
    """Return the insertion of a node in the middle of an edge.

    The first half takes the edge's part of the channels, the second half does all else that it
    did. By default the node stands right behind its source, so that all inputs keep their order: an
    identity node there leaves the function as it is (unless two edges connect the same two nodes).

    Args:
        architecture: The graph.
        edge: An edge of it.
        node: The new node; by default an identity.
        late: Put the node right before its reader, whose newest input it then is.

    Raises:
        ArchitectureError: If there is no such edge.
    """
    check_edge(architecture, edge)
    index, edges, drops = _split(edge, edge.target if late else edge.source + 1)
    return InsertNode(index, node or Node(), edges, drops)


def contract_node(architecture: Architecture, index: int) -> DeleteNode:
    """Return the deletion of a node whose readers then read what it read.

    Raises:
        ArchitectureError: If there is no such node, or it is the input or the output.
    """
    check_node(architecture, index, inner=True)
    return DeleteNode(index, _bridges(architecture, index))


def _split(edge: Edge, index: int) -> tuple[int, tuple[Edge, ...], tuple[Edge, ...]]:
    halves = (
        Edge(edge.source, index, part=edge.part),
        replace(edge, source=index, target=edge.target + 1, part=WHOLE),
    )
    return index, halves, (edge,)


def _bridges(architecture: Architecture, index: int) -> tuple[Edge, ...]:
    """Return, in the numbers without the node, the edges from what it reads to what reads it."""
    number = _numbers_without(architecture, index)
    present = set(moved(architecture.edges, number))
    bridges = {
        _joined(first, second, number)
        for first in architecture.inputs(index)
        for second in architecture.edges
        if second.source == index
    }
    return tuple(sorted(bridges - present))


def _joined(first: Edge, second: Edge, number: dict[int, int]) -> Edge:
    """Return one edge in place of two: what is unusual about the first, else about the second."""
    return Edge(
        number[first.source],
        number[second.target],
        first.transform if first.transform != "auto" else second.transform,
        second.port,
        first.part if first.part != WHOLE else second.part,
        first.gain if first.gain != PLAIN else second.gain,
    )


def _numbers_without(architecture: Architecture, index: int) -> dict[int, int]:
    numbers = range(len(architecture.nodes))
    return {old: old - (old > index) for old in numbers if old != index}


def _with_node(architecture: Architecture, index: int, node: Node, what: str) -> Architecture:
    nodes = (*architecture.nodes[:index], node, *architecture.nodes[index + 1 :])
    what = f"{what} of {architecture.label(index).lower()}"
    return rebuilt(architecture, nodes, architecture.edges, what)
