"""The pieces that the cost of a network is the sum of: operations, adapters, merges, the head.

`nas.cost.count` adds a whole network up; this module says what each piece costs, so that a mixture
of networks can be charged by probabilities and a table of latencies can price piece by piece. The
sum over a network's pieces is exactly what `nas.cost.count.cost` says, heads of exits apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Annotated, Literal, final

from pydantic import BaseModel, Field

from nas.cost.count import BYTES, norm_parameters
from nas.cost.shapes import Adapter, NodeStep, Plan
from nas.topology.facts import WHOLE
from nas.topology.layers import Shape
from nas.topology.merges import Merge
from nas.topology.operations import Operation


@final
@dataclass(frozen=True)
class Piece:
    """One thing a network runs, on one image.

    Args:
        kind: `operation` of a node; `adapter` of an edge; `merge`, once per node that has several
            live inputs; `merge_input`, once per live input of such a node; `head`.
        name: Of the operation, the adapter's kind or the merge.
        source: Shape it reads.
        target: Shape it writes.
        stride: Of an operation.
        parameters: Trainable numbers.
        macs: Multiply-adds.
        bytes: Bytes moved in float32, its weights included.
    """

    kind: Literal["operation", "adapter", "merge", "merge_input", "head"]
    name: str
    source: Shape
    target: Shape
    stride: int = 1
    parameters: int = 0
    macs: int = 0
    bytes: int = 0


Latency = Callable[[Piece], float]
"""Milliseconds of one piece; a network's latency is the sum over its pieces."""


@final
class LinearLatency(BaseModel, frozen=True, extra="forbid"):
    """An additive latency from multiply-adds and traffic, for want of a measured table.

    The defaults are of the order of one core of a processor at 20 GMAC/s and 10 GB/s. They order
    members by both, no more: a limit in milliseconds needs the figures of the device.
    """

    ms_per_gmac: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 50.0
    """Milliseconds per 10^9 multiply-adds."""

    ms_per_gbyte: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 100.0
    """Milliseconds per 10^9 bytes moved."""

    ms_per_piece: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 0.0
    """Milliseconds to start anything that moves bytes."""

    def __call__(self, piece: Piece) -> float:
        """Return the milliseconds of a piece."""
        started = self.ms_per_piece if piece.bytes else 0.0
        return (
            1e-9 * self.ms_per_gmac * piece.macs + 1e-9 * self.ms_per_gbyte * piece.bytes + started
        )


def operation_piece(operation: Operation, source: Shape, width: int, stride: int) -> Piece:
    """Return a node's operation."""
    shapes = operation.shapes(source, width, stride)
    parameters = operation.parameters(source, width, stride)
    moved = sum(2 * prod(shape) for shape in shapes[1:])
    return Piece(
        "operation",
        operation.name,
        source,
        shapes[-1],
        stride,
        parameters,
        operation.macs(source, width, stride),
        BYTES * (moved + parameters),
    )


def adapter_piece(adapter: Adapter) -> Piece:
    """Return an edge's adapter; the identity still reads its source."""
    moved = prod(adapter.source)
    if not adapter.identity:
        moved += 2 * prod(adapter.target)
    name = adapter.kind if adapter.operation is None else adapter.operation.name
    if adapter.part != WHOLE:
        name = f"part+{name}"
    if not adapter.gain.identity:
        name = f"{name}+gain"
    parameters = adapter.parameters()
    return Piece(
        "adapter",
        name,
        adapter.source,
        adapter.target,
        1,
        parameters,
        adapter.macs(),
        BYTES * (moved + parameters),
    )


def merge_pieces(merge: Merge, merged: Shape, degree: int) -> tuple[Piece, Piece]:
    """Return what a merge of `degree` inputs costs once, and for each of them.

    What linear merges cost does not depend on the degree.
    """
    alike = [
        entry for entry in merge.parameters if entry.per == "input" and not entry.newest_without
    ]
    parameters = sum(entry.numbers(merged[0], degree) for entry in alike) // degree
    macs = sum(entry.macs(merged, degree) for entry in alike) // degree
    own = merge.count(merged[0], degree) - degree * parameters
    once = Piece(
        "merge",
        merge.name,
        merged,
        merged,
        parameters=own,
        macs=merge.macs(merged, degree) - degree * macs,
        bytes=BYTES * (prod(merged) + own),
    )
    each = Piece(
        "merge_input",
        merge.name,
        merged,
        merged,
        parameters=parameters,
        macs=macs,
        bytes=BYTES * parameters,
    )
    return once, each


def head_piece(source: Shape, num_classes: int) -> Piece:
    """Return global average pooling and the classifier."""
    width = source[0]
    return Piece(
        "head",
        "head",
        source,
        (num_classes, 1, 1),
        parameters=width * num_classes + num_classes,
        macs=width * num_classes,
        bytes=BYTES * (prod(source) + width * num_classes + 2 * num_classes),
    )


def without_weights(piece: Piece, kept: int = 0) -> Piece:
    """Return a piece that reads the weights of an earlier one it is tied to, all but `kept`."""
    return replace(piece, parameters=kept, bytes=piece.bytes - BYTES * (piece.parameters - kept))


def pieces(schedule: Plan, num_classes: int) -> Iterator[Piece]:
    """Yield every piece that a forward runs, the head last; heads of exits are not asked."""
    yield from _level(schedule)
    if schedule.architecture.head != "none":
        yield head_piece(schedule.output, num_classes)


def _level(schedule: Plan) -> Iterator[Piece]:
    seen: set[str] = set()
    normed: set[str] = set()
    for step in schedule.steps:
        yield from (adapter_piece(entry.adapter) for entry in step.inputs)
        if len(step.inputs) > 1:
            once, each = merge_pieces(step.merge, step.merged, len(step.inputs))
            yield from (once, *[each] * len(step.inputs))
        tie = step.node.tie
        apart = step.node.own_norms or tie not in normed
        kept = norm_parameters(step) if apart else 0
        for piece in _computed(step):
            yield without_weights(piece, kept) if tie in seen else piece
            kept = 0
        if tie is not None:
            seen.add(tie)
            if not step.node.own_norms:
                normed.add(tie)


def _computed(step: NodeStep) -> Iterator[Piece]:
    if step.operation is not None:
        yield operation_piece(step.operation, step.merged, step.output[0], step.node.stride)
    if step.cell is not None:
        yield from _level(step.cell)
