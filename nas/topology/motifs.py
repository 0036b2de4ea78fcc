"""Motifs: nested cells that share one definition, and what it means to edit one.

A node that holds a cell may name a motif. All nodes of one motif, at every level, hold equal
cells: `swap_motif` changes the definition and so all of them, `detach` makes one node's cell its
own, `share` gives equal cells a name. Weights are another matter: instances of a motif have their
own unless they are tied (`Node.tie`), as the repeated cells of NASNet (Zoph et al. 2017,
arXiv:1707.07012) do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nas.errors import ArchitectureError
from nas.registry import suggest
from nas.topology.graph import Architecture, Node


def motif_library(architecture: Architecture) -> dict[str, Architecture]:
    """Return the definition of every motif that occurs, at any level, by name.

    Raises:
        ArchitectureError: If two cells at different levels go by one name.
    """
    known: dict[str, Architecture] = {}
    seen: set[Architecture] = set()
    waiting = [architecture]
    while waiting:
        level = waiting.pop()
        if level in seen:
            continue
        seen.add(level)
        for index, node in enumerate(level.nodes):
            if node.cell is None:
                continue
            waiting.append(node.cell)
            if node.motif and known.setdefault(node.motif, node.cell) != node.cell:
                raise ArchitectureError(
                    f"{level.label(index)} and a node within another cell hold different cells "
                    f"under the one motif '{node.motif}'.",
                    fix="Give one of them another motif, or none; or swap that motif first.",
                )
    return known


def motif_instances(architecture: Architecture, name: str) -> int:
    """Return how many nodes hold the motif, those within cells once per instance of these."""
    total = 0
    for node in architecture.nodes:
        if node.cell is not None:
            total += (node.motif == name) + motif_instances(node.cell, name)
    return total


def swap_motif(architecture: Architecture, name: str, cell: Architecture) -> Architecture:
    """Return the architecture with another definition of a motif: every instance changes.

    Args:
        architecture: The network.
        name: Name of the motif.
        cell: The new definition.

    Raises:
        ArchitectureError: If there is no such motif, two cells go by its name, or the definition
            would hold itself.
    """
    check_motif(architecture, name)
    if name in motif_library(cell):
        raise ArchitectureError(
            f"The new cell of the motif '{name}' holds the motif itself.",
            fix="Detach the inner node, or give the new cell another name.",
        )

    swapped = spread(architecture, {name: cell})
    motif_library(swapped)  # refuses another definition of a motif within the new cell
    return swapped


def spread(architecture: Architecture, definitions: dict[str, Architecture]) -> Architecture:
    """Return the architecture with the given definitions at all instances of their motifs."""

    def defined(node: Node) -> Node:
        return replace(node, cell=definitions[node.motif]) if node.motif in definitions else node

    return _everywhere(architecture, defined)


def share(architecture: Architecture, index: int, name: str) -> Architecture:
    """Return the architecture with one node's cell as an instance of a motif.

    Raises:
        ArchitectureError: If the node holds no cell, or the motif is another cell.
    """
    node = cell_node(architecture, index)
    if not name:
        raise ArchitectureError("A motif needs a name.", fix="Use detach to take one away.")
    known = motif_library(architecture).get(name)
    if known is not None and known != node.cell:
        raise ArchitectureError(
            f"{architecture.label(index)} holds another cell than the motif '{name}'.",
            fix="Use swap_cell to give it that cell, or choose another name.",
        )
    return with_node(architecture, index, replace(node, motif=name))


def detach(architecture: Architecture, index: int) -> Architecture:
    """Return the architecture with a private copy of a cell at one node.

    Editing it changes this node alone, editing the motif leaves it as it is.

    Raises:
        ArchitectureError: If the node holds no motif.
    """
    node = cell_node(architecture, index)
    if not node.motif:
        raise ArchitectureError(
            f"{architecture.label(index)} holds a private cell already.", fix="Edit it as it is."
        )
    return with_node(architecture, index, replace(node, motif=""))


def cell_node(architecture: Architecture, index: int) -> Node:
    """Return a node that holds a cell.

    Raises:
        ArchitectureError: If there is no such node, or it holds none.
    """
    if not 0 <= index < len(architecture.nodes):
        raise ArchitectureError(
            f"There is no node {index}; nodes are 0 to {len(architecture.nodes) - 1}.",
            fix="Name one that is there.",
        )
    node = architecture.nodes[index]
    if node.cell is None:
        holders = [n for n, other in enumerate(architecture.nodes) if other.cell is not None]
        shown = ", ".join(map(str, holders[:20]))
        raise ArchitectureError(
            f"{architecture.label(index)} holds no cell.",
            fix=f"Nodes with a cell: {shown}." if holders else "No node of this graph has one.",
        )
    return node


def check_motif(architecture: Architecture, name: str) -> Architecture:
    """Return the definition of a motif.

    Raises:
        ArchitectureError: If there is none of that name; the message tells the closest.
    """
    library = motif_library(architecture)
    if name not in library:
        near = suggest(name, list(library))
        hint = f"Did you mean '{near}'? " if near else ""
        raise ArchitectureError(
            f"There is no motif '{name}'.",
            fix=f"{hint}Motifs: {', '.join(sorted(library)) or 'none'}.",
        )
    return library[name]


def with_node(architecture: Architecture, index: int, node: Node) -> Architecture:
    """Return the architecture with another node in one place."""
    nodes = (*architecture.nodes[:index], node, *architecture.nodes[index + 1 :])
    return replace(architecture, nodes=nodes)


def _everywhere(architecture: Architecture, change: Callable[[Node], Node]) -> Architecture:
    """Return the architecture with every node changed, those of cells first."""
    done: dict[Architecture, Architecture] = {}

    def walk(level: Architecture) -> Architecture:
        if level not in done:
            nodes = [
                node if node.cell is None else replace(node, cell=walk(node.cell))
                for node in level.nodes
            ]
            done[level] = replace(level, nodes=tuple(change(node) for node in nodes))
        return done[level]

    return walk(architecture)
