"""Edits of nested cells: swap one, swap a shared motif everywhere, edit what is inside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

import numpy as np

from nas.topology.edits.base import EDITS, AbstractEdit, Vocabulary, edit_kind, rebuilt
from nas.topology.graph import Architecture
from nas.topology.motifs import cell_node, check_motif, motif_library, spread, swap_motif


@edit_kind
@final
@dataclass(frozen=True)
class SwapCell(AbstractEdit):
    """Give one node another cell; other instances of its motif stay what they are.

    Args:
        index: Number of the node.
        cell: Its new cell.
        motif: Motif that the cell is from now on an instance of; none makes it private.
    """

    name: ClassVar[str] = "swap_cell"
    index: int
    cell: Architecture
    motif: str = ""

    def apply(self, architecture: Architecture) -> Architecture:
        """Return the architecture with another cell at the node."""
        node = replace(cell_node(architecture, self.index), cell=self.cell, motif=self.motif)
        nodes = (*architecture.nodes[: self.index], node, *architecture.nodes[self.index + 1 :])
        what = f"Swapping the cell of {architecture.label(self.index).lower()}"
        return rebuilt(architecture, nodes, architecture.edges, what)

    def undo(self, architecture: Architecture) -> SwapCell:
        """Return the swap back."""
        node = cell_node(architecture, self.index)
        assert node.cell is not None
        return SwapCell(self.index, node.cell, node.motif)

    @classmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Draw a node with a cell, and the cell and motif of another node for it."""
        holders = [n for n, node in enumerate(architecture.nodes) if node.cell is not None]
        if len(holders) < 2:
            return None
        first, second = (holders[int(rng.integers(len(holders)))] for _ in range(2))
        other = architecture.nodes[second]
        assert other.cell is not None
        return cls(first, other.cell, other.motif)


@edit_kind
@final
@dataclass(frozen=True)
class SwapMotif(AbstractEdit):
    """Give a motif another definition: every instance changes, at every level."""

    name: ClassVar[str] = "swap_motif"
    motif: str
    cell: Architecture

    def apply(self, architecture: Architecture) -> Architecture:
        """Return the architecture with another definition of the motif."""
        return swap_motif(architecture, self.motif, self.cell)

    def undo(self, architecture: Architecture) -> SwapMotif:
        """Return the swap back."""
        return SwapMotif(self.motif, check_motif(architecture, self.motif))

    @classmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Draw a motif and an edit of its definition."""
        library = motif_library(architecture)
        if not library:
            return None
        name = sorted(library)[int(rng.integers(len(library)))]
        edit = _inner_draw(library[name], rng, vocabulary)
        return None if edit is None else cls(name, edit.apply(library[name]))


@edit_kind
@final
@dataclass(frozen=True)
class EditCell(AbstractEdit):
    """Edit the inside of a node's cell.

    The cell of a shared motif, or of tied nodes, is edited wherever it stands; `detach` a node of
    a motif first to edit it alone.

    Args:
        index: Number of the node.
        inner: What is done inside.
    """

    name: ClassVar[str] = "edit_cell"
    index: int
    inner: AbstractEdit

    def apply(self, architecture: Architecture) -> Architecture:
        """Return the architecture with an edited cell."""
        node = cell_node(architecture, self.index)
        assert node.cell is not None
        cell = self.inner.apply(node.cell)
        before, after = motif_library(node.cell), motif_library(cell)
        changed = {
            name: definition
            for name, definition in after.items()
            if name in before and before[name] != definition
        }
        if node.motif:
            return spread(architecture, {**changed, node.motif: cell})
        spread_out = spread(architecture, changed) if changed else architecture
        nodes = [
            replace(other, cell=cell)
            if number == self.index or (node.tie is not None and other.tie == node.tie)
            else other
            for number, other in enumerate(spread_out.nodes)
        ]
        return replace(spread_out, nodes=tuple(nodes))

    def undo(self, architecture: Architecture) -> EditCell:
        """Return the edit that takes the inside back."""
        node = cell_node(architecture, self.index)
        assert node.cell is not None
        return EditCell(self.index, self.inner.undo(node.cell))

    @classmethod
    def draw(
        cls, architecture: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
    ) -> Self | None:
        """Draw a node with a cell, and an edit of it."""
        holders = [n for n, node in enumerate(architecture.nodes) if node.cell is not None]
        if not holders:
            return None
        index = holders[int(rng.integers(len(holders)))]
        cell = architecture.nodes[index].cell
        assert cell is not None
        edit = _inner_draw(cell, rng, vocabulary)
        return None if edit is None else cls(index, edit)


def _inner_draw(
    cell: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
) -> AbstractEdit | None:
    names = EDITS.names()
    return EDITS.get(names[int(rng.integers(len(names)))]).draw(cell, rng, vocabulary)
