"""Edits of edges: add, remove, rewire one, or change its gain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

import numpy as np

from nas.errors import ArchitectureError
from nas.topology.edits.base import (
    AbstractEdit,
    Vocabulary,
    check_edge,
    edge_text,
    edit_kind,
    pick,
    rebuilt,
)
from nas.topology.graph import PLAIN, Architecture, Edge, Gain
from nas.topology.lookups import RESERVED_TRANSFORMS, edge_operation
from nas.topology.measures import carries


@edit_kind
@final
@dataclass(frozen=True)
class AddEdge(AbstractEdit):
    """Connect two nodes.

    With a learned gain that starts at 0 the network computes what it did, until it is trained
    (ReZero, Bachlechner et al. 2020, arXiv:2003.04887); `zero_edge` makes such an edit.
    """

    name: ClassVar[str] = "add_edge"
    edge: Edge

    def apply(self, architecture: Architecture) -> Architecture:
        """Return the architecture with one more edge."""
        _check_transform(self.edge)
        what = f"Adding the edge {edge_text(self.edge)}"
        return rebuilt(architecture, architecture.nodes, (*architecture.edges, self.edge), what)

    def undo(self, architecture: Architecture) -> RemoveEdge:
        """Return the removal of the edge."""
        return RemoveEdge(self.edge)

    @classmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Draw two nodes that no edge connects yet."""
        target = int(rng.integers(1, len(architecture.nodes)))
        source = int(rng.integers(0, target))
        if any(edge.source == source for edge in architecture.inputs(target)):
            return None
        return cls(Edge(source, target, pick(vocabulary.transforms, rng)))


@edit_kind
@final
@dataclass(frozen=True)
class RemoveEdge(AbstractEdit):
    """Drop an edge; a node may not lose its last one."""

    name: ClassVar[str] = "remove_edge"
    edge: Edge

    def apply(self, architecture: Architecture) -> Architecture:
        """Return the architecture without the edge."""
        check_edge(architecture, self.edge)
        edges = [edge for edge in architecture.edges if edge != self.edge]
        what = f"Removing the edge {edge_text(self.edge)}"
        return rebuilt(architecture, architecture.nodes, edges, what)

    def undo(self, architecture: Architecture) -> AddEdge:
        """Return the addition of the edge."""
        return AddEdge(self.edge)

    @classmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Draw any edge."""
        edge = _any_edge(architecture, rng)
        return None if edge is None else cls(edge)


@edit_kind
@final
@dataclass(frozen=True)
class Rewire(AbstractEdit):
    """Put one edge in place of another.

    Args:
        old: The edge that is there.
        new: What takes its place: usually the same with another source.
    """

    name: ClassVar[str] = "rewire"
    old: Edge
    new: Edge

    def apply(self, architecture: Architecture) -> Architecture:
        """Return the architecture with the edge replaced."""
        check_edge(architecture, self.old)
        _check_transform(self.new)
        edges = [self.new if edge == self.old else edge for edge in architecture.edges]
        what = f"Rewiring {edge_text(self.old)} to {edge_text(self.new)}"
        return rebuilt(architecture, architecture.nodes, edges, what)

    def undo(self, architecture: Architecture) -> Rewire:
        """Return the edit that puts the old edge back."""
        return Rewire(self.new, self.old)

    @classmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Draw an edge and another source for it."""
        old = _any_edge(architecture, rng)
        if old is None:
            return None
        return cls(old, replace(old, source=int(rng.integers(0, old.target))))


@edit_kind
@final
@dataclass(frozen=True)
class ChangeGain(AbstractEdit):
    """Let an edge multiply its tensor with something else."""

    name: ClassVar[str] = "change_gain"
    edge: Edge
    gain: Gain

    def apply(self, architecture: Architecture) -> Architecture:
        """Return the architecture with another gain on the edge."""
        return self._as_rewiring().apply(architecture)

    def undo(self, architecture: Architecture) -> ChangeGain:
        """Return the edit that gives the edge its gain back."""
        return ChangeGain(replace(self.edge, gain=self.gain), self.edge.gain)

    def _as_rewiring(self) -> Rewire:
        return Rewire(self.edge, replace(self.edge, gain=self.gain))

    @classmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Draw an edge and a fixed factor for it."""
        edge = _any_edge(architecture, rng)
        if edge is None:
            return None
        value = vocabulary.gains[int(rng.integers(len(vocabulary.gains)))]
        return cls(edge, PLAIN if value == 1 else Gain("fixed", value))


def zero_edge(architecture: Architecture, source: int, target: int) -> AddEdge:
    """Return the addition of an edge that leaves the output as it is, until it is trained.

    Its learned gain starts at 0. That keeps the function where the merge adds up without a factor
    that depends on the in-degree, and where the edge is not the one that sets the node's shape.

    Raises:
        ArchitectureError: If the merge would change what it computes; the message says how to
            avoid that.
    """
    from nas.topology.lookups import node_merge
    from nas.topology.symbolic import architecture_shapes

    edge = AddEdge(Edge(source, target, gain=Gain("scalar", 0.0)))
    edge.apply(architecture)  # refuses nodes that are not there
    node, rule = architecture.nodes[target], node_merge(architecture, target)
    live = [known for known in architecture.inputs(target) if carries(known)]
    scale = rule.resolve_scale(node.scale)
    if rule.weight != "identity" or scale != "none":
        raise ArchitectureError(
            f"An edge into {architecture.label(target)} changes what it computes: its merge is "
            f"'{node.merge}' with the scale '{scale}'.",
            fix="Use change_merge to make it a 'sum' with the scale 'none' first.",
        )
    shapes = architecture_shapes(architecture)
    main = next((known for known in live if known.port == "main"), live[-1] if live else None)
    if main is None or (
        main.port != "main" and source > main.source and shapes[source] != shapes[main.source]
    ):
        raise ArchitectureError(
            f"An edge {source}→{target} would set the shape of {architecture.label(target)}, "
            "being its newest.",
            fix="Choose an older source, or give the present newest edge the port 'main'.",
        )
    return edge


def _any_edge(architecture: Architecture, rng: np.random.Generator) -> Edge | None:
    if not architecture.edges:
        return None
    return architecture.edges[int(rng.integers(len(architecture.edges)))]


def _check_transform(edge: Edge) -> None:
    if edge.transform not in RESERVED_TRANSFORMS:
        edge_operation(edge)
