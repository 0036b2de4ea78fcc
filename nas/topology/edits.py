"""Edits of graphs: mutations and crossover whose results are always valid.

An edit proposes a graph; whatever does not validate or does not pass `check` is drawn again, and
after `ATTEMPTS` draws the parent itself is returned. So the result is valid whenever the parent
is. `check` is any function that raises for a network that cannot be computed, such as
`lambda network: cost(network, (3, 32, 32), 10)`: this package knows no input shape. All draws come
from the generator that is passed in: equal generators give equal edits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from nas.errors import ArchitectureError, TopologyError
from nas.topology.graph import Architecture, Edge, Node, Topology
from nas.topology.operations import OPERATIONS
from nas.topology.symbolic import SymbolicShape, architecture_shapes

ATTEMPTS = 30

Check = Callable[[Architecture], object]
"""Raises `ArchitectureError` or `TopologyError` for a network that cannot be computed."""


@final
@dataclass(frozen=True)
class Vocabulary:
    """What mutations may write into a network.

    Args:
        operations: Operations of nodes.
        merges: Merges of nodes.
        transforms: Transforms of new edges.
        max_nodes: No edit makes a network larger than this.
    """

    operations: tuple[str, ...] = ("conv3x3", "conv1x1", "separable3x3", "max_pool3x3", "identity")
    merges: tuple[str, ...] = ("sum", "mean", "weighted", "concat")
    transforms: tuple[str, ...] = ("auto",)
    max_nodes: int = 256


Edit = Callable[[Architecture, np.random.Generator, Vocabulary], Architecture]


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
    names = sorted(EDITS) if edits is None else sorted(edits)
    unknown = [name for name in names if name not in EDITS]
    if unknown or not names:
        raise ArchitectureError(
            f"Unknown edit '{unknown[0]}'." if unknown else "There is no edit to draw from.",
            fix=f"Known edits: {', '.join(sorted(EDITS))}.",
        )
    if count < 0:
        raise ArchitectureError(f"The number of edits is {count}; it is at least 0.")
    for _ in range(count):
        architecture = _one_edit(architecture, rng, check, vocabulary or Vocabulary(), names)
    return architecture


def crossover(
    first: Architecture,
    second: Architecture,
    rng: np.random.Generator,
    *,
    check: Check,
    max_nodes: int = 256,
) -> Architecture:
    """Return the head of `first` continued by the tail of `second`: one-point crossover.

    Both are cut somewhere in their topological order. Each tensor that crosses the cut of `second`
    is replaced by one that crosses the cut of `first` and has the same shape whatever the input;
    cuts without such partners are drawn again. Without any, `first` is returned.
    """
    head_shapes, tail_shapes = architecture_shapes(first), architecture_shapes(second)
    for _ in range(ATTEMPTS):
        head = int(rng.integers(0, len(first.nodes) - 1))
        tail = int(rng.integers(0, len(second.nodes) - 1))
        if head + len(second.nodes) - tail > max_nodes or (head, tail) == (0, 0):
            continue
        partners = _partners(first, head, head_shapes, second, tail, tail_shapes, rng)
        if partners is None:
            continue
        try:
            child = _joined(first, head, second, tail, partners)
            check(child)
        except (ArchitectureError, TopologyError):
            continue
        return child
    return first


def mutate_topology(topology: Topology, rng: np.random.Generator, *, count: int = 1) -> Topology:
    """Return the wiring after `count` random edits of its nodes and edges.

    Joins stay joins. The result is a fixed wiring: it has no optional edges.
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
        edits=("add_edge", "delete_node", "insert_node", "remove_edge", "rewire"),
    )
    return Topology(
        len(child.nodes),
        frozenset((edge.source, edge.target) for edge in child.edges),
        joins=frozenset(n for n, node in enumerate(child.nodes) if n and node.operation == join),
        merge=topology.merge,
    )


def _one_edit(
    parent: Architecture,
    rng: np.random.Generator,
    check: Check,
    vocabulary: Vocabulary,
    names: list[str],
) -> Architecture:
    for _ in range(ATTEMPTS):
        edit = EDITS[names[int(rng.integers(len(names)))]]
        try:
            child = edit(parent, rng, vocabulary)
            if child == parent or len(child.nodes) > max(vocabulary.max_nodes, len(parent.nodes)):
                continue
            check(child)
        except (ArchitectureError, TopologyError):
            continue
        return child
    return parent


def _add_edge(
    parent: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
) -> Architecture:
    target = int(rng.integers(1, len(parent.nodes)))
    source = int(rng.integers(0, target))
    if any(edge.source == source for edge in parent.inputs(target)):
        return parent
    new = Edge(source, target, _pick(vocabulary.transforms, rng))
    return replace(parent, edges=(*parent.edges, new))


def _remove_edge(
    parent: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
) -> Architecture:
    place = int(rng.integers(len(parent.edges)))
    return _rebuilt(parent, parent.nodes, parent.edges[:place] + parent.edges[place + 1 :])


def _rewire(parent: Architecture, rng: np.random.Generator, vocabulary: Vocabulary) -> Architecture:
    place = int(rng.integers(len(parent.edges)))
    old = parent.edges[place]
    new = replace(old, source=int(rng.integers(0, old.target)))
    edges = (*parent.edges[:place], new, *parent.edges[place + 1 :])
    return _rebuilt(parent, parent.nodes, edges)


def _change_operation(
    parent: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
) -> Architecture:
    index = int(rng.integers(1, len(parent.nodes)))
    old = parent.nodes[index]
    if old.cell is not None:
        return parent
    name = _pick(vocabulary.operations, rng)
    operation = OPERATIONS.get(name)
    new = replace(
        old,
        operation=name,
        width=None if operation.keeps_channels else old.width,
        stride=old.stride if operation.can_stride else 1,
        tie=old.tie if name == old.operation else None,
    )
    return _with_node(parent, index, new)


def _change_merge(
    parent: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
) -> Architecture:
    index = int(rng.integers(1, len(parent.nodes)))
    merge = _pick(vocabulary.merges, rng)
    if len(parent.inputs(index)) < 2 or merge == parent.nodes[index].merge:
        return parent
    return _with_node(parent, index, replace(parent.nodes[index], merge=merge, scale="auto"))


def _insert_node(
    parent: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
) -> Architecture:
    place = int(rng.integers(len(parent.edges)))
    split = parent.edges[place]
    new = split.target  # the node takes this number, its target and all later ones move up
    kept = parent.edges[:place] + parent.edges[place + 1 :]
    edges = [
        *(
            replace(edge, source=edge.source + (edge.source >= new), target=edge.target + 1)
            for edge in kept
            if edge.target >= new
        ),
        *(edge for edge in kept if edge.target < new),
        Edge(split.source, new, split.transform),
        Edge(new, new + 1, "auto", split.port),
    ]
    node = Node(_pick(vocabulary.operations, rng), _pick(vocabulary.merges, rng))
    return _rebuilt(parent, (*parent.nodes[:new], node, *parent.nodes[new:]), edges)


def _delete_node(
    parent: Architecture, rng: np.random.Generator, vocabulary: Vocabulary
) -> Architecture:
    """Let the targets of a node read what it read."""
    if len(parent.nodes) < 3:
        return parent
    gone = int(rng.integers(1, len(parent.nodes) - 1))
    sources = {edge.source for edge in parent.inputs(gone)}
    bridges = {
        Edge(source, edge.target)
        for edge in parent.edges
        if edge.source == gone
        for source in sources
    }
    kept = {edge for edge in parent.edges if gone not in (edge.source, edge.target)}
    edges = [
        replace(
            edge,
            source=edge.source - (edge.source > gone),
            target=edge.target - (edge.target > gone),
        )
        for edge in kept | bridges
    ]
    return _rebuilt(parent, parent.nodes[:gone] + parent.nodes[gone + 1 :], edges)


EDITS: dict[str, Edit] = {
    "add_edge": _add_edge,
    "change_merge": _change_merge,
    "change_operation": _change_operation,
    "delete_node": _delete_node,
    "insert_node": _insert_node,
    "remove_edge": _remove_edge,
    "rewire": _rewire,
}
"""The mutations by name."""


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _with_node(parent: Architecture, index: int, node: Node) -> Architecture:
    nodes = (*parent.nodes[:index], node, *parent.nodes[index + 1 :])
    return replace(parent, nodes=nodes)


def _rebuilt(parent: Architecture, nodes: tuple[Node, ...], edges: Iterable[Edge]) -> Architecture:
    if parent.zero_allowed:
        return Architecture(nodes, tuple(edges), parent.wiring, zero_allowed=True)
    return Architecture.pruned(nodes, edges, parent.wiring)


def _partners(
    first: Architecture,
    head: int,
    head_shapes: list[SymbolicShape],
    second: Architecture,
    tail: int,
    tail_shapes: list[SymbolicShape],
    rng: np.random.Generator,
) -> dict[int, int] | None:
    """Choose, per tensor that crosses the cut of `second`, one of equal shape in `first`."""
    offered = _crossing(first, head)
    partners: dict[int, int] = {}
    for source in _crossing(second, tail):
        fitting = [other for other in offered if head_shapes[other] == tail_shapes[source]]
        if not fitting:
            return None
        partners[source] = fitting[int(rng.integers(len(fitting)))]
    return partners


def _crossing(architecture: Architecture, cut: int) -> list[int]:
    return sorted({e.source for e in architecture.edges if e.source <= cut < e.target})


def _joined(
    first: Architecture, head: int, second: Architecture, tail: int, partners: dict[int, int]
) -> Architecture:
    shift = head - tail
    edges = {edge for edge in first.edges if edge.target <= head}
    edges |= {
        replace(
            edge,
            source=partners[edge.source] if edge.source <= tail else edge.source + shift,
            target=edge.target + shift,
        )
        for edge in second.edges
        if edge.target > tail
    }
    taken = {node.name for node in first.nodes[: head + 1]}
    later = [_renamed(node, taken) for node in second.nodes[tail + 1 :]]
    nodes = (*first.nodes[: head + 1], *later)
    if first.zero_allowed or second.zero_allowed:
        return Architecture(nodes, tuple(edges), first.wiring, zero_allowed=True)
    return Architecture.pruned(nodes, edges, first.wiring)


def _renamed(node: Node, taken: set[str]) -> Node:
    """Keep names unique, and the ties of the two parents apart."""
    name, number = node.name, 2
    while name and name in taken:
        name, number = f"{node.name}_{number}", number + 1
    taken.add(name)
    return replace(node, name=name, tie=node.tie and f"{node.tie}_2")
