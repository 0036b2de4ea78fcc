"""Mix the states of a stage through one buffer: the fast path of a relaxed step.

All states of a stage lie in one buffer `S[N, L]`, and a node reads its mixture as one matrix-vector
product with `S[:j]`; in the backward pass the gradients of the mixtures lie in a second buffer, a
state gathers its gradient as one product, and all gates of the stage get theirs in a single product
at its end. A sum written out costs twice the memory traffic, a `torch.stack` per node four times.

The order of the passes is held by a token that runs through every read and write, so that the
backward pass visits them in reverse. There is no second derivative: second-order methods, and nodes
whose merges project (their gates are folded into small matrices), take the plain path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas.supernet.binding import Path
from nas.supernet.mixtures.mixture import Mixing
from nas.supernet.slots import NodeCall
from nas.supernet.workspace import Workspace

SMALLEST_DENSITY = 0.6
"""Share of the rows read that a node must use; below it the plain sum is faster."""
FEWEST_INPUTS = 12
"""Inputs of mixed nodes in a stage below which the copies cost more than they save."""


@final
@dataclass(frozen=True)
class Segment:
    """Nodes of one level that share a buffer.

    Args:
        first: State that opens the buffer; the states up to `last` follow.
        last: The last state that one of the nodes reads.
        rows: Per mixed node, its row in the buffer's coefficients.
        sources: Per row, the states it reads.
        mixing_rows: Per row, its row in the coefficients of the mixing.
    """

    first: int
    last: int
    rows: Mapping[int, int]
    sources: tuple[tuple[int, ...], ...]
    mixing_rows: tuple[int, ...]


def find_segments(mixing: Mixing, path: Path, calls: tuple[NodeCall, ...]) -> list[Segment]:
    """Return the runs of nodes worth a buffer on one level of a relaxed member."""
    groups: list[list[NodeCall]] = []
    for call in calls:
        if not _mixable(mixing, path, call):
            continue
        shape = call.step.merged
        previous = groups[-1][-1] if groups else None
        if previous is not None and previous.step.merged == shape:
            groups[-1].append(call)
        else:
            groups.append([call])
    found = [_segment(mixing, path, group) for group in groups]
    return [segment for segment in found if _worthwhile(segment)]


def _mixable(mixing: Mixing, path: Path, call: NodeCall) -> bool:
    mixed = mixing.nodes.get((*path, call.name))
    return (
        mixed is not None
        and mixed.row is not None
        and mixed.projections is None
        and not mixed.transforms
        and all(edge.adapter.identity for edge in call.inputs)
    )


def _segment(mixing: Mixing, path: Path, group: list[NodeCall]) -> Segment:
    sources = tuple(tuple(edge.source for edge in call.inputs) for call in group)
    rows = {call.step.index: number for number, call in enumerate(group)}
    places = [mixing.nodes[(*path, call.name)].row for call in group]
    return Segment(
        first=min(min(entry) for entry in sources),
        last=max(max(entry) for entry in sources),
        rows=rows,
        sources=sources,
        mixing_rows=tuple(place for place in places if place is not None),
    )


def _worthwhile(segment: Segment) -> bool:
    used = sum(len(entry) for entry in segment.sources)
    read = sum(max(entry) - min(entry) + 1 for entry in segment.sources)
    return used >= FEWEST_INPUTS and used >= SMALLEST_DENSITY * read


@final
class StateBuffer:
    """The states of one segment during one forward and backward pass.

    Args:
        segment: Which states and nodes.
        numbers: Coefficients of the mixing, `(rows, inputs)`.
        workspace: Lends the memory; it comes back when the last reference to this object goes.
    """

    def __init__(self, segment: Segment, numbers: Tensor, workspace: Workspace) -> None:
        self.segment = segment
        self.workspace = workspace
        self.states = numbers.new_empty(0)
        self.gradients = numbers.new_empty(0)
        self.shape: tuple[int, int, int, int] = (0, 0, 0, 0)
        size = (len(segment.sources), segment.last - segment.first + 1)
        rows, columns, values = [], [], []
        for row, (sources, place) in enumerate(
            zip(segment.sources, segment.mixing_rows, strict=True)
        ):
            rows += [row] * len(sources)
            columns += [source - segment.first for source in sources]
            values.append(numbers[place, : len(sources)])
        index = (torch.tensor(rows), torch.tensor(columns))
        self.table = numbers.new_zeros(size).index_put(index, torch.cat(values))
        self.plain_table = self.table.detach()
        self._token: Tensor | None = None

    def put(self, index: int, x: Tensor) -> None:
        """Store a state `(batch, channels, height, width)` if one of the nodes reads it."""
        if not self.segment.first <= index <= self.segment.last:
            return
        if self._token is None:
            batch, channels, height, width = x.shape
            self.shape = (batch, height, width, channels)
            self.plain_table = self.plain_table.to(x.dtype)  # autocast may have lowered it
            self.states = self.workspace.take(self.plain_table.shape[1], x.numel(), x)
            self._token = _run(_Open, self, self.table)
        self._token = _run(_Put, self, index - self.segment.first, self._token, x)

    def read(self, node: int) -> Tensor:
        """Return the mixture that a node reads."""
        assert self._token is not None
        mixture: Tensor
        mixture, self._token = _run(_Read, self, self.segment.rows[node], self._token)
        return mixture

    def close(self) -> None:
        """End the forward pass: let go of the graph, which holds this object itself."""
        self._token = None
        self.table = self.plain_table

    def __del__(self) -> None:
        for matrix in (self.states, self.gradients):
            if matrix.numel():
                self.workspace.give(matrix)

    def keep_gradient(self, row: int, mixture: Tensor) -> None:
        """Keep the gradient of a row; rows are met last first."""
        if self.gradients.numel() == 0:
            self.gradients = self.workspace.take(
                len(self.segment.sources), self.states.shape[1], self.states
            )
            self.gradients[row + 1 :].zero_()  # these reach no output
        self.gradients[row].view(self.shape).copy_(mixture.permute(0, 2, 3, 1))

    def columns(self, row: int) -> slice:
        """Return the states between a row's first and last source."""
        sources = self.segment.sources[row]
        return slice(min(sources) - self.segment.first, max(sources) - self.segment.first + 1)

    def image(self, row: Tensor) -> Tensor:
        """Return a row as `(batch, channels, height, width)`, channels last in memory."""
        return row.view(self.shape).permute(0, 3, 1, 2)


def _run(function: type[torch.autograd.Function], *arguments: object) -> Any:
    return function.apply(*arguments)  # type: ignore[no-untyped-call]


@final
class _Open(torch.autograd.Function):
    """Open a buffer; its backward pass, the last of all, gives every gate its gradient."""

    @staticmethod
    def forward(ctx: Any, buffer: StateBuffer, table: Tensor) -> Tensor:
        ctx.buffer, ctx.dtype = buffer, table.dtype
        return table.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, token: Tensor) -> tuple[None, Tensor | None]:
        buffer: StateBuffer = ctx.buffer
        if not ctx.needs_input_grad[1]:
            return None, None
        gradient = buffer.gradients @ buffer.states.t()
        return None, gradient.to(ctx.dtype)


@final
class _Put(torch.autograd.Function):
    """Store a state; its backward pass gathers the state's gradient from all its readers."""

    @staticmethod
    def forward(ctx: Any, buffer: StateBuffer, column: int, token: Tensor, x: Tensor) -> Tensor:
        ctx.buffer, ctx.column = buffer, column
        buffer.states[column].view(buffer.shape).copy_(x.permute(0, 2, 3, 1))
        return token.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, token: Tensor) -> tuple[None, None, Tensor, Tensor | None]:
        buffer: StateBuffer = ctx.buffer
        if not ctx.needs_input_grad[3]:
            return None, None, token, None
        weights = buffer.plain_table[:, ctx.column]
        readers = torch.nonzero(weights).flatten()
        if len(readers) == 0:
            return None, None, token, None
        first, last = int(readers[0]), int(readers[-1]) + 1
        gradient = weights[first:last] @ buffer.gradients[first:last]
        return None, None, token, buffer.image(gradient)


@final
class _Read(torch.autograd.Function):
    """Read a mixture; its backward pass keeps the gradient for the states and the gates."""

    @staticmethod
    def forward(ctx: Any, buffer: StateBuffer, row: int, token: Tensor) -> tuple[Tensor, Tensor]:
        ctx.buffer, ctx.row = buffer, row
        columns = buffer.columns(row)
        mixture = buffer.plain_table[row, columns] @ buffer.states[columns]
        return buffer.image(mixture), token.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, mixture: Tensor, token: Tensor) -> tuple[None, None, Tensor]:
        ctx.buffer.keep_gradient(ctx.row, mixture)
        return None, None, token
