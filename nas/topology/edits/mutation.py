"""Random edits whose results are always valid.

An edit is drawn and applied; whatever does not validate or does not pass `check` is drawn again,
and after `ATTEMPTS` draws the parent itself is returned. So the result is valid whenever the
parent is. `check` is any function that raises for a network that cannot be computed, such as
`lambda network: cost(network, (3, 32, 32), 10)`: this package knows no input shape. All draws come
from the generator that is passed in: equal generators give equal edits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from nas.errors import ArchitectureError, TopologyError
from nas.topology.edits.base import EDITS, AbstractEdit, Vocabulary
from nas.topology.graph import Architecture, Edge, Node, Topology

ATTEMPTS = 30

Check = Callable[[Architecture], object]
"""Raises `ArchitectureError` or `TopologyError` for a network that cannot be computed."""


def mutate(
    architecture: Architecture,
    rng: np.random.Generator,
    *,
    check: Check,
    count: int = 1,
    vocabulary: Vocabulary | None = None,
    edits: Iterable[str] | None = None,
) -> Architecture:
    """Return the architecture after `count` random edits, each of which passes `check`.

    Args:
        architecture: The parent.
        rng: Source of all draws.
        check: Raises for networks that cannot be computed.
        count: Edits in a row; 0 returns the parent.
        vocabulary: What may be written.
        edits: Names of the edits to draw from, by default all of `EDITS`.

    Raises:
        ArchitectureError: If an edit is unknown, or `count` is negative.
    """
    drawn = random_edits(
        architecture, rng, check=check, count=count, vocabulary=vocabulary, edits=edits
    )
    for edit in drawn:
        architecture = edit.apply(architecture)
    return architecture


def random_edits(
    architecture: Architecture,
    rng: np.random.Generator,
    *,
    check: Check,
    count: int = 1,
    vocabulary: Vocabulary | None = None,
    edits: Iterable[str] | None = None,
) -> list[AbstractEdit]:
    """Return `count` edits to apply one after the other; fewer where none was found to fit.

    Args:
        architecture: The parent.
        rng: Source of all draws.
        check: Raises for networks that cannot be computed; asked after every edit.
        count: Edits in a row.
        vocabulary: What may be written.
        edits: Names of the edits to draw from, by default all of `EDITS`.

    Raises:
        ArchitectureError: If an edit is unknown, or `count` is negative.
    """
    names = EDITS.names() if edits is None else sorted(edits)
    unknown = [name for name in names if name not in EDITS]
    if unknown or not names:
        raise ArchitectureError(
            f"Unknown edit '{unknown[0]}'." if unknown else "There is no edit to draw from.",
            fix=f"Known edits: {', '.join(EDITS)}.",
        )
    if count < 0:
        raise ArchitectureError(
            f"The number of edits is {count}; it is at least 0.",
            fix="Ask for at least 1 edit, or 0 for a copy.",
        )
    found: list[AbstractEdit] = []
    for _ in range(count):
        drawn = _one_edit(architecture, rng, check, vocabulary or Vocabulary(), names)
        if drawn is None:
            continue
        found.append(drawn[0])
        architecture = drawn[1]
    return found


def _one_edit(
    parent: Architecture,
    rng: np.random.Generator,
    check: Check,
    vocabulary: Vocabulary,
    names: list[str],
) -> tuple[AbstractEdit, Architecture] | None:
    largest = max(vocabulary.max_nodes, len(parent.nodes))
    for _ in range(ATTEMPTS):
        kind = EDITS.get(names[int(rng.integers(len(names)))])
        try:
            edit = kind.draw(parent, rng, vocabulary)
            if edit is None:
                continue
            child = edit.apply(parent)
            if child == parent or len(child.nodes) > largest:
                continue
            check(child)
        except (ArchitectureError, TopologyError):
            continue
        return edit, child
    return None


WIRING_EDITS = ("add_edge", "delete_node", "insert_node", "remove_edge", "rewire")
"""Edits that change which node feeds which, and nothing else."""


def mutate_topology(topology: Topology, rng: np.random.Generator, *, count: int = 1) -> Topology:
    """Return the wiring after `count` random edits of its nodes and edges.

    Joins stay joins. The result is a fixed wiring: it has no optional edges, and of what a pattern
    fixed about nodes and edges nothing is left.
    """
    if count == 0:
        return topology
    operation, join = "conv3x3", "identity"
    nodes = [Node(join if n in topology.joins else operation) for n in range(topology.num_nodes)]
    parent = Architecture(tuple(nodes), tuple(Edge(*pair) for pair in sorted(topology.edges)))
    child = mutate(
        parent,
        rng,
        check=lambda network: network,
        count=count,
        vocabulary=Vocabulary(operations=(operation,), merges=("sum",)),
        edits=WIRING_EDITS,
    )
    return Topology(
        len(child.nodes),
        frozenset((edge.source, edge.target) for edge in child.edges),
        joins=frozenset(n for n, node in enumerate(child.nodes) if n and node.operation == join),
        merge=topology.merge,
    )
