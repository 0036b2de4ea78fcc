"""Elastic depth: operations that can be left out, on any wiring, and the graph without them.

A *branch* is everything that only one input of a merge needs, where the merge has others: the
convolutions of a residual block, a column of a fractal block. Without it the merge has one input
fewer. A *step* is a node that reads one tensor and returns one of equal shape: without it, whoever
read it reads what it read. Either is offered only if every other node then computes with the shapes
and adapters it has, so that all weights fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Literal, final

from nas.cost.shapes import NodeStep, Plan, plan
from nas.errors import ArchitectureError, NotFoundError, TopologyError
from nas.registry import suggest
from nas.topology.graph import Architecture, Edge
from nas.topology.layers import Shape

_ANY_ORDER = ("identity", "scalar", "projection")
"""Weights of merges whose inputs may change places if their parameters follow."""


@final
@dataclass(frozen=True)
class SkippableBlock:
    """Nodes that can be left out together.

    Args:
        name: Of its node, or of its first and last: `stage1.op1..stage1.op2`.
        kind: `branch` or `step`.
        nodes: Their numbers.
    """

    name: str
    kind: Literal["branch", "step"]
    nodes: tuple[int, ...]


@final
@dataclass(frozen=True)
class Shortened:
    """A graph without some of its nodes.

    Args:
        architecture: What is left.
        nodes: Per node that is left, its old number.
        positions: Per node that is left, the old places of its live inputs.
    """

    architecture: Architecture
    nodes: tuple[int, ...]
    positions: tuple[tuple[int, ...], ...]


def skippable_blocks(architecture: Architecture, input_shape: Shape) -> tuple[SkippableBlock, ...]:
    """Return what can be left out of a network, one at a time, in the order of their first nodes.

    The input, the last node and exits always stay. Nodes inside of cells are not looked at: a cell
    goes as a whole.

    Args:
        architecture: The network.
        input_shape: `(channels, height, width)` of one image.

    Raises:
        ArchitectureError: If a node cannot be computed.
    """
    schedule = plan(architecture, input_shape)
    found: dict[tuple[int, ...], SkippableBlock] = {}
    for block in (*_branches(schedule), *_steps(schedule)):
        if block.nodes not in found and _without(schedule, block) is not None:
            found[block.nodes] = block
    return tuple(sorted(found.values(), key=lambda block: block.nodes))


def without_blocks(
    architecture: Architecture, input_shape: Shape, names: Iterable[str]
) -> Shortened:
    """Leave blocks out, one after the other.

    Args:
        architecture: The network.
        input_shape: `(channels, height, width)` of one image.
        names: Of the blocks, as `skippable_blocks` gives them.

    Raises:
        NotFoundError: If there is no such block.
        ArchitectureError: If a block cannot go once the ones before it are gone.
    """
    offered = {block.name: block for block in skippable_blocks(architecture, input_shape)}
    whole = plan(architecture, input_shape)
    left = Shortened(
        architecture,
        tuple(range(len(architecture.nodes))),
        tuple(tuple(range(len(step.inputs))) for step in whole.steps),
    )
    gone: list[str] = []
    for name in names:
        block = _named(name, offered)
        rest = tuple(left.nodes.index(node) for node in block.nodes if node in left.nodes)
        if rest:
            schedule = plan(left.architecture, input_shape)
            shorter = _without(schedule, replace(block, nodes=rest))
            if shorter is None:
                raise ArchitectureError(
                    f"The block '{name}' cannot be left out once {_listed(gone)} is gone.",
                    fix=f"Keep '{name}' or one of the others.",
                )
            left = _composed(left, shorter)
        gone.append(name)
    return left


def _named(name: str, offered: dict[str, SkippableBlock]) -> SkippableBlock:
    if name in offered:
        return offered[name]
    near = suggest(name, list(offered))
    raise NotFoundError(
        f"There is no block '{name}' that could be left out.",
        fix=(f"Did you mean '{near}'? " if near else "")
        + f"Its blocks: {', '.join(offered) or 'none'}.",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _composed(first: Shortened, second: Shortened) -> Shortened:
    return Shortened(
        second.architecture,
        tuple(first.nodes[node] for node in second.nodes),
        tuple(
            tuple(first.positions[node][place] for place in places)
            for node, places in zip(second.nodes, second.positions, strict=True)
        ),
    )


def _branches(schedule: Plan) -> Iterable[SkippableBlock]:
    readers: dict[int, set[int]] = {step.index: set() for step in schedule.steps}
    for edge in schedule.architecture.edges:
        readers[edge.source].add(edge.target)
    for step in schedule.steps[1:]:
        if len(step.inputs) < 2 or step.merge.weight == "stacked":
            continue
        for source in sorted({entry.edge.source for entry in step.inputs}):
            alone = _only_for(schedule, source, step.index, readers)
            if alone:
                yield _block(schedule, "branch", alone)


def _only_for(
    schedule: Plan, source: int, reader: int, readers: dict[int, set[int]]
) -> tuple[int, ...]:
    """Return the nodes that nobody needs but the edge from `source` to `reader`."""
    alone: set[int] = set()
    waiting = [-source]
    while waiting:  # the newest first, so that all readers of a node come before it
        node = -heappop(waiting)
        needed = readers[node] - alone - ({reader} if node == source else set())
        fixed = node == 0 or schedule.architecture.nodes[node].exit
        if node not in alone and not needed and not fixed:
            alone.add(node)
            for entry in schedule.steps[node].inputs:
                heappush(waiting, -entry.edge.source)
    return tuple(sorted(alone))


def _steps(schedule: Plan) -> Iterable[SkippableBlock]:
    for step in schedule.steps[1:-1]:
        computes = step.cell is not None or (step.operation and not step.operation.identity)
        plain = len(step.inputs) == 1 and step.inputs[0].adapter.identity
        if computes and plain and step.merged == step.output and not step.node.exit:
            yield _block(schedule, "step", (step.index,))


def _block(
    schedule: Plan, kind: Literal["branch", "step"], nodes: tuple[int, ...]
) -> SkippableBlock:
    named = [schedule.architecture.nodes[node].name or str(node) for node in nodes]
    return SkippableBlock(named[0] if len(nodes) == 1 else f"{named[0]}..{named[-1]}", kind, nodes)


def _without(schedule: Plan, block: SkippableBlock) -> Shortened | None:
    """Return the graph without a block, None where other nodes would compute otherwise."""
    old = schedule.architecture
    nodes = tuple(node for node in range(len(old.nodes)) if node not in block.nodes)
    number = {node: place for place, node in enumerate(nodes)}
    before: dict[Edge, Edge] = {}
    for edge in old.edges:
        source = edge.source
        if edge.target in block.nodes or (source in block.nodes and block.kind == "branch"):
            continue
        if source in block.nodes:
            source = schedule.steps[source].inputs[0].edge.source
        moved = replace(edge, source=number[source], target=number[edge.target])
        if moved in before:
            return None
        before[moved] = edge
    try:
        shorter = replace(old, nodes=tuple(old.nodes[node] for node in nodes), edges=tuple(before))
        after = plan(shorter, schedule.input_shape)
    except (ArchitectureError, TopologyError):
        return None
    positions = [
        _positions(schedule.steps[node], step, before)
        for node, step in zip(nodes, after.steps, strict=True)
    ]
    if any(places is None for places in positions):
        return None
    return Shortened(shorter, nodes, tuple(places or () for places in positions))


def _positions(old: NodeStep, new: NodeStep, before: dict[Edge, Edge]) -> tuple[int, ...] | None:
    """Return the old places of a node's inputs, None where it would compute otherwise."""
    if (old.merged, old.output) != (new.merged, new.output):
        return None
    places = []
    known = [entry.edge for entry in old.inputs]
    for entry in new.inputs:
        place = known.index(before[entry.edge])
        if entry.adapter != old.inputs[place].adapter:
            return None
        places.append(place)
    fewer = len(places) != len(known)
    ordered = places == sorted(places)
    if len(places) > 1 and old.merge.weight not in _ANY_ORDER and (fewer or not ordered):
        return None
    return tuple(places)
