"""The edit behind a crossover: some nodes stay, others come in their place."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Self, final

import numpy as np

from nas.errors import ArchitectureError
from nas.topology.edits.base import (
    AbstractEdit,
    Vocabulary,
    edge_text,
    edit_kind,
    moved,
    rebuilt,
)
from nas.topology.graph import Architecture, Edge, Node


@edit_kind
@final
@dataclass(frozen=True)
class Graft(AbstractEdit):
    """Keep some nodes with the edges between them, and put new ones beside them.

    Args:
        kept: Numbers of the nodes that stay, in increasing order.
        places: Their numbers in the result, in increasing order.
        nodes: The new nodes; they take the numbers that are left, in order.
        edges: Every edge of the result that touches a new node, in the result's numbers.
    """

    name: ClassVar[str] = "graft"
    kept: tuple[int, ...]
    places: tuple[int, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def apply(self, architecture: Architecture) -> Architecture:
        """Return the architecture with the new nodes in place of those that are not kept."""
        total = len(self.places) + len(self.nodes)
        self._check(len(architecture.nodes), total)
        number = dict(zip(self.kept, self.places, strict=True))
        nodes = {place: architecture.nodes[old] for old, place in number.items()}
        waiting = iter(self.nodes)
        row = [nodes[place] if place in nodes else next(waiting) for place in range(total)]
        edges = (*moved(architecture.edges, number), *self.edges)
        return rebuilt(architecture, row, edges, "Grafting")

    def _check(self, known: int, total: int) -> None:
        for numbers, limit in ((self.kept, known), (self.places, total)):
            in_range = all(0 <= number < limit for number in numbers)
            if len(self.kept) != len(self.places) or not in_range or _unsorted(numbers):
                raise ArchitectureError(
                    f"A graft keeps the nodes {list(self.kept)[:20]} in the places "
                    f"{list(self.places)[:20]}; there are {known} nodes and {total} places.",
                    fix="Give as many places as nodes, both in increasing order.",
                )
        old = set(self.places)
        for edge in self.edges:
            if edge.source in old and edge.target in old:
                raise ArchitectureError(
                    f"The edge {edge_text(edge)} of a graft connects two nodes that were there.",
                    fix="Leave it out: edges between nodes that stay are kept as they are.",
                )

    def undo(self, architecture: Architecture) -> Graft:
        """Return the graft that puts the nodes back that were left out."""
        stay = set(self.kept)
        gone = [n for n in range(len(architecture.nodes)) if n not in stay]
        edges = tuple(
            edge for edge in architecture.edges if not (edge.source in stay and edge.target in stay)
        )
        nodes = tuple(architecture.nodes[n] for n in gone)
        return Graft(self.places, self.kept, nodes, edges)

    @classmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Return None: a graft needs a second parent, see `crossover`."""
        return None


def _unsorted(numbers: tuple[int, ...]) -> bool:
    return any(second <= first for first, second in pairwise(numbers))
