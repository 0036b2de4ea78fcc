"""What a latency is predicted from: the pieces a network runs, counted twice.

*Executed* pieces are all a plan holds: dead edges and dead nodes too, because a device that runs
the network operation by operation runs them. *Live* pieces are those that read the image and reach
the output: what is left when a compiler removes dead code and folds constants. Which of the two a
device pays for is learned from its measurements, so both are counted; nothing here is measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

from nas.cost.count import cost
from nas.cost.pieces import (
    LinearLatency,
    Piece,
    adapter_piece,
    head_piece,
    merge_pieces,
    operation_piece,
    without_weights,
)
from nas.cost.shapes import Adapter, NodeStep, Plan, plan
from nas.topology.graph import Architecture
from nas.topology.layers import Shape

ROUGH = LinearLatency(ms_per_piece=0.01)
"""Milliseconds that a piece has before anything is measured: their proportions are those of a
processor core, and only their proportions matter, since every fit starts by scaling them."""

Counts = tuple[tuple[Piece, int], ...]


@final
@dataclass(frozen=True)
class NetworkFeatures:
    """What a network runs, on one image.

    Args:
        executed: Every piece but identities on edges, and how often it runs.
        live: The same, of what the output depends on and an image flows through.
        macs: Multiply-adds.
        bytes: Bytes moved in float32.
        critical_macs: Multiply-adds on the most expensive path.
        critical_pieces: Pieces on the longest path of live nodes.
        depth: Parametric operations on the longest path.
    """

    executed: Counts
    live: Counts
    macs: int
    bytes: int
    critical_macs: int
    critical_pieces: int
    depth: int

    @property
    def rough_ms(self) -> float:
        """The sum of the pieces' rough milliseconds: right in proportion at best."""
        return sum(count * ROUGH(piece) for piece, count in self.executed)


@lru_cache(maxsize=32_768)
def network_features(
    architecture: Architecture, input_shape: Shape, num_classes: int
) -> NetworkFeatures:
    """Count what a network runs.

    Args:
        architecture: The network.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of the classifier.

    Raises:
        ArchitectureError: If a shape is impossible.
    """
    schedule = plan(architecture, input_shape)
    head = head_piece(schedule.output, num_classes)
    level = _level(schedule, constant=False)
    total = cost(architecture, input_shape, num_classes)
    return NetworkFeatures(
        executed=_sorted(level.executed + Counter([head])),
        live=_sorted(level.live + Counter([head])),
        macs=total.macs,
        bytes=total.bytes,
        critical_macs=total.critical_path,
        critical_pieces=level.longest + 1,
        depth=total.depth,
    )


@final
@dataclass(frozen=True)
class _Level:
    """A plan's pieces; `constant` tells that its output depends on no image."""

    executed: Counter[Piece]
    live: Counter[Piece]
    constant: bool
    longest: int


def _sorted(counts: Counter[Piece]) -> Counts:
    return tuple(sorted(counts.items(), key=lambda entry: _order(entry[0])))


def _order(piece: Piece) -> tuple[object, ...]:
    return (piece.kind, piece.name, piece.source, piece.target, piece.stride, piece.bytes)


@lru_cache(maxsize=8192)
def _level(schedule: Plan, *, constant: bool) -> _Level:
    """Count a plan; a cell that occurs many times is counted once."""
    steps = schedule.steps
    nested: dict[int, _Level] = {}
    constants = [constant]
    for step in steps[1:]:
        folded = all(constants[entry.edge.source] for entry in step.inputs)
        if step.cell is not None:
            nested[step.index] = _level(step.cell, constant=folded)
            folded = nested[step.index].constant
        constants.append(folded)
    used = _used(steps, constants)
    executed, live = Counter[Piece](), Counter[Piece]()
    seen: set[str] = set()
    for step in steps[1:]:
        own = _own_pieces(step, tied=step.node.tie in seen)
        inner = nested.get(step.index)
        executed += own + (inner.executed if inner else Counter())
        if step.index in used:
            live += _live_pieces(step, own, constants) + (inner.live if inner else Counter())
        if step.node.tie is not None:
            seen.add(step.node.tie)
    return _Level(executed, live, constants[-1], _longest(steps, used, nested))


def _used(steps: Sequence[NodeStep], constants: Sequence[bool]) -> set[int]:
    """Return the nodes that read an image and that the output needs."""
    used: set[int] = set()
    waiting = [] if constants[-1] else [len(steps) - 1]
    while waiting:
        index = waiting.pop()
        if index in used:
            continue
        used.add(index)
        sources = [entry.edge.source for entry in steps[index].inputs]
        waiting.extend(source for source in sources if not constants[source])
    return used


def _own_pieces(step: NodeStep, *, tied: bool) -> Counter[Piece]:
    """Return a node's adapters, merge and operation; a cell inside it is counted by itself."""
    found = Counter(adapter_piece(entry.adapter) for entry in step.inputs if _runs(entry.adapter))
    if len(step.inputs) > 1:
        once, each = merge_pieces(step.merge, step.merged, len(step.inputs))
        found += Counter({once: 1, each: len(step.inputs)})
    if step.operation is not None and step.operation.layers:
        piece = operation_piece(step.operation, step.merged, step.output[0], step.node.stride)
        found[without_weights(piece) if tied else piece] += 1
    return found


def _runs(adapter: Adapter) -> bool:
    """Tell whether an edge does more than hand its tensor on."""
    if adapter.operation is not None and adapter.gain.identity:
        return not adapter.operation.identity
    return not adapter.identity


def _live_pieces(step: NodeStep, own: Counter[Piece], constants: Sequence[bool]) -> Counter[Piece]:
    """Take away what constant inputs would have cost."""
    live = Counter(own)
    dead = [entry for entry in step.inputs if constants[entry.edge.source]]
    for entry in dead:
        if _runs(entry.adapter):
            live[adapter_piece(entry.adapter)] -= 1
    if dead and step.merge.linear and len(step.inputs) > 1:
        once, each = merge_pieces(step.merge, step.merged, len(step.inputs))
        left = len(step.inputs) - len(dead)
        live[once], live[each] = int(left > 1), left if left > 1 else 0
    return +live


def _longest(steps: Sequence[NodeStep], used: set[int], nested: dict[int, _Level]) -> int:
    """Return the pieces on the longest path through live nodes."""
    reach = [0]
    for step in steps[1:]:
        if step.index not in used:
            reach.append(0)
            continue
        before = max(
            (reach[entry.edge.source] + int(_runs(entry.adapter)) for entry in step.inputs),
            default=0,
        )
        own = int(len(step.inputs) > 1)
        own += int(step.operation is not None and bool(step.operation.layers))
        inner = nested.get(step.index)
        reach.append(before + own + (inner.longest if inner else 0))
    return reach[-1]
