"""Typed crossover: a stretch of one network takes the place of a stretch of another.

Both parents are cut in their topological order, and every tensor that crosses a cut of the donor is
replaced by one of the receiver that has the same shape whatever the input. The child is recorded as
one `Graft` of the first parent, so it can be replayed and undone like any other edit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from nas.errors import ArchitectureError, TopologyError
from nas.topology.edits.base import moved
from nas.topology.edits.graft import Graft
from nas.topology.edits.mutation import ATTEMPTS, Check
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.symbolic import SymbolicShape, architecture_shapes


def crossover(
    first: Architecture,
    second: Architecture,
    rng: np.random.Generator,
    *,
    check: Check,
    max_nodes: int = 256,
) -> Architecture:
    """Return `first` with a stretch of `second` in place of one of its own.

    Stretches without partners of equal shape are drawn again. Without any, `first` is returned.
    """
    graft = crossover_edit(first, second, rng, check=check, max_nodes=max_nodes)
    return first if graft is None else graft.apply(first)


def crossover_edit(
    first: Architecture,
    second: Architecture,
    rng: np.random.Generator,
    *,
    check: Check,
    max_nodes: int = 256,
) -> Graft | None:
    """Return the crossover as an edit of `first`, None where no draw fits.

    Args:
        first: The receiver; the child keeps its beginning.
        second: The donor.
        rng: Source of all draws.
        check: Raises for networks that cannot be computed.
        max_nodes: Nodes of the child, at most.
    """
    shapes = architecture_shapes(first), architecture_shapes(second)
    for _ in range(ATTEMPTS):
        cuts = _draw_cuts(len(first.nodes), len(second.nodes), rng)
        if cuts is None or cuts.size(len(first.nodes)) > max_nodes:
            continue
        joints = _joints(first, second, shapes, cuts, rng)
        if joints is None:
            continue
        try:
            graft = _graft(first, second, cuts, joints)
            child = graft.apply(first)
            if child == first:
                continue
            check(child)
        except (ArchitectureError, TopologyError):
            continue
        return graft
    return None


@final
@dataclass(frozen=True)
class _Cuts:
    """Nodes `start + 1 .. stop` of the receiver give way to `after + 1 .. until` of the donor."""

    start: int
    stop: int
    after: int
    until: int

    def size(self, nodes: int) -> int:
        """Return the nodes of the child, if none has to go."""
        return nodes - (self.stop - self.start) + self.until - self.after

    @property
    def shift(self) -> int:
        """Return by how much the donor's numbers move."""
        return self.start - self.after

    @property
    def behind(self) -> int:
        """Return by how much the receiver's numbers behind the stretch move."""
        return self.start + (self.until - self.after) - self.stop


def _draw_cuts(receiver: int, donor: int, rng: np.random.Generator) -> _Cuts | None:
    start, after = int(rng.integers(0, receiver - 1)), int(rng.integers(0, donor - 1))
    stop, until = receiver - 1, donor - 1
    if rng.integers(2):
        stop, until = int(rng.integers(start + 1, receiver)), int(rng.integers(after + 1, donor))
        if (stop == receiver - 1) != (until == donor - 1):
            return None  # an output takes the place of an output
    elif (start, after) == (0, 0):
        return None
    return _Cuts(start, stop, after, until)


_Joints = tuple[dict[int, int], dict[int, int]]
"""For tensors that cross into the stretch: donor to receiver. For those that leave it: receiver to
donor. A donor's node outside the stretch is never read."""


def _joints(
    first: Architecture,
    second: Architecture,
    shapes: tuple[list[SymbolicShape], list[SymbolicShape]],
    cuts: _Cuts,
    rng: np.random.Generator,
) -> _Joints | None:
    mine, theirs = shapes
    read = {e.source for e in second.edges if cuts.after < e.target <= cuts.until}
    left = {e.source for e in first.edges if e.target > cuts.stop}
    entering = _partners(
        (source for source in read if source <= cuts.after),
        theirs,
        _crossing(first, cuts.start),
        mine,
        rng,
    )
    leaving = _partners(
        (source for source in left if cuts.start < source <= cuts.stop),
        mine,
        range(cuts.after + 1, cuts.until + 1),
        theirs,
        rng,
    )
    return None if entering is None or leaving is None else (entering, leaving)


def _partners(
    wanted: Iterable[int],
    wanted_shapes: list[SymbolicShape],
    offered: Iterable[int],
    offered_shapes: list[SymbolicShape],
    rng: np.random.Generator,
) -> dict[int, int] | None:
    """Choose, for each wanted tensor, one of equal shape among those offered."""
    candidates = list(offered)
    partners: dict[int, int] = {}
    for source in sorted(wanted):
        shape = wanted_shapes[source]
        fitting = [other for other in candidates if offered_shapes[other] == shape]
        if not fitting:
            return None
        partners[source] = fitting[int(rng.integers(len(fitting)))]
    return partners


def _crossing(architecture: Architecture, cut: int) -> list[int]:
    return sorted({e.source for e in architecture.edges if e.source <= cut < e.target})


def _graft(first: Architecture, second: Architecture, cuts: _Cuts, joints: _Joints) -> Graft:
    entering, leaving = joints
    last = cuts.size(len(first.nodes)) - 1
    kept = [*range(cuts.start + 1), *range(cuts.stop + 1, len(first.nodes))]
    place = {n: n if n <= cuts.start else n + cuts.behind for n in kept}
    edges = {
        replace(
            edge,
            source=entering[edge.source] if edge.source <= cuts.after else edge.source + cuts.shift,
            target=edge.target + cuts.shift,
        )
        for edge in second.edges
        if cuts.after < edge.target <= cuts.until
    }
    edges |= {
        replace(edge, source=leaving[edge.source] + cuts.shift, target=place[edge.target])
        for edge in first.edges
        if edge.target > cuts.stop and edge.source in leaving
    }
    taken = {first.nodes[n].name for n in kept}
    nodes = [_renamed(node, taken) for node in second.nodes[cuts.after + 1 : cuts.until + 1]]
    inner = moved(first.edges, place)
    alive = range(last + 1) if first.zero_allowed else _alive(last + 1, [*edges, *inner])
    number = {old: new for new, old in enumerate(alive)}
    stay = [n for n in kept if place[n] in number]
    return Graft(
        tuple(stay),
        tuple(number[place[n]] for n in stay),
        tuple(node for at, node in enumerate(nodes, cuts.start + 1) if at in number),
        tuple(sorted(moved(edges, number))),
    )


def _alive(size: int, edges: Iterable[Edge]) -> list[int]:
    """Return the nodes on a path from the first node to the last."""
    ordered = sorted(edges)
    forward = [node == 0 for node in range(size)]
    backward = [node == size - 1 for node in range(size)]
    for edge in ordered:
        forward[edge.target] |= forward[edge.source]
    for edge in reversed(ordered):
        backward[edge.source] |= backward[edge.target]
    alive = [node for node in range(size) if forward[node] and backward[node]]
    if not alive or alive[0] != 0 or alive[-1] != size - 1:
        raise TopologyError(
            "No path leads from the input to the output.",
            fix="Cross networks that share a node to cut at.",
        )
    return alive


def _renamed(node: Node, taken: set[str]) -> Node:
    """Keep names unique, and the ties of the two parents apart."""
    name, number = node.name, 2
    while name and name in taken:
        name, number = f"{node.name}_{number}", number + 1
    taken.add(name)
    return replace(node, name=name, tie=node.tie and f"{node.tie}_2")
