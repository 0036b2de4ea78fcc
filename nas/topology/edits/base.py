"""What an edit is: a change of a graph that can be applied, undone, written down and drawn."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Self, TypeVar, final

import numpy as np

from nas.errors import ArchitectureError, TopologyError
from nas.registry import Registry
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.motifs import motif_library


@final
@dataclass(frozen=True)
class Vocabulary:
    """What random edits may write into a network.

    Args:
        operations: Operations of nodes.
        merges: Merges of nodes.
        transforms: Transforms of new edges.
        gains: Values that a fixed gain of an edge may take.
        max_nodes: No edit makes a network larger than this.
    """

    operations: tuple[str, ...] = ("conv3x3", "conv1x1", "separable3x3", "max_pool3x3", "identity")
    merges: tuple[str, ...] = ("sum", "mean", "weighted", "concat")
    transforms: tuple[str, ...] = ("auto",)
    gains: tuple[float, ...] = (0.5, 1.0)
    max_nodes: int = 256


@dataclass(frozen=True)
class AbstractEdit(abc.ABC):
    """One change of an architecture.

    Numbers of nodes are those of the architecture it is applied to, unless a field says otherwise.
    """

    name: ClassVar[str]
    """What the edit is called in files."""

    @abc.abstractmethod
    def apply(self, architecture: Architecture) -> Architecture:
        """Return the edited architecture.

        Raises:
            ArchitectureError: If the edit speaks of something that is not there.
            TopologyError: If the result were no connected acyclic graph.
        """

    @abc.abstractmethod
    def undo(self, architecture: Architecture) -> AbstractEdit:
        """Return the edit that takes `self.apply(architecture)` back to `architecture`.

        Args:
            architecture: What this edit is applied to.

        Raises:
            ArchitectureError: If the edit speaks of something that is not there.
        """

    @classmethod
    @abc.abstractmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Draw an edit of this kind, None where the draw fits nowhere.

        It may still be refused by `apply`: who draws, draws again.
        """


EDITS: Registry[type[AbstractEdit]] = Registry("edit", package=__package__)
"""The kinds of edits by name."""

EditClass = TypeVar("EditClass", bound=type[AbstractEdit])


def edit_kind(kind: EditClass) -> EditClass:
    """Register a kind of edit under its name."""
    EDITS.add(kind.name, kind)
    return kind


def check_node(architecture: Architecture, index: int, *, inner: bool = False) -> Node:
    """Return a node that an edit speaks of.

    Args:
        architecture: The graph.
        index: Number of the node.
        inner: Also refuse the last node.

    Raises:
        ArchitectureError: If there is no such node, or it is the input (or the output).
    """
    last = len(architecture.nodes) - 1
    if not 0 <= index <= last:
        raise ArchitectureError(
            f"There is no node {index}; nodes are 0 to {last}.", fix="Name one that is there."
        )
    if index == 0 or (inner and index == last):
        raise ArchitectureError(
            f"{architecture.label(index)} is the {'output' if index else 'input'} and stays.",
            fix=f"Nodes 1 to {last - inner} can be edited.",
        )
    return architecture.nodes[index]


def check_edge(architecture: Architecture, edge: Edge) -> None:
    """Refuse an edge that is not there.

    Raises:
        ArchitectureError: If no edge equals it; the message tells those into its target.
    """
    if edge in architecture.edges:
        return
    if not 0 <= edge.target < len(architecture.nodes):
        raise ArchitectureError(
            f"There is no node {edge.target}; nodes are 0 to {len(architecture.nodes) - 1}.",
            fix="Name one that is there.",
        )
    sources = ", ".join(edge_text(known) for known in architecture.inputs(edge.target))
    raise ArchitectureError(
        f"There is no edge {edge_text(edge)}.",
        where=architecture.label(edge.target),
        fix=f"The edges into this node are: {sources or 'none'}.",
    )


def edge_text(edge: Edge) -> str:
    """Write an edge for a message: its ends, and what is unusual about it."""
    return " ".join([f"{edge.source}→{edge.target}", *edge_details(edge)])


def edge_details(edge: Edge) -> list[str]:
    """Return what is unusual about an edge, in words."""
    more = [edge.transform] if edge.transform != "auto" else []
    more += [f"port {edge.port}"] if edge.port != "default" else []
    more += [f"part {edge.part[0]} of {edge.part[1]}"] if edge.part != (0, 1) else []
    return more + ([] if edge.gain.identity else [f"{edge.gain.kind} gain {edge.gain.value:g}"])


def rebuilt(
    architecture: Architecture, nodes: Iterable[Node], edges: Iterable[Edge], what: str
) -> Architecture:
    """Return the architecture with other nodes and edges.

    Args:
        architecture: Where everything else comes from.
        nodes: The new nodes.
        edges: The new edges.
        what: What the edit does, for the message: `Dropping the edge 1→2`.

    Raises:
        ArchitectureError: If a node is impossible.
        TopologyError: If the result is no connected acyclic graph.
    """
    try:
        result = replace(architecture, nodes=tuple(nodes), edges=tuple(edges))
        motif_library(result)
        return result
    except (ArchitectureError, TopologyError) as error:
        fix = error.fix
        if isinstance(error, TopologyError) and "disconnected" in error.what:
            fix = "Give the node another edge first, or delete it with delete_node."
        raise type(error)(
            f"{what} is refused: {error.what}", where=error.where, why=error.why, fix=fix
        ) from None


def moved(edges: Iterable[Edge], number: dict[int, int]) -> list[Edge]:
    """Return those edges whose two ends have a new number, with these numbers."""
    return [
        replace(edge, source=number[edge.source], target=number[edge.target])
        for edge in edges
        if edge.source in number and edge.target in number
    ]


def pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    """Draw one of some names."""
    return options[int(rng.integers(len(options)))]
