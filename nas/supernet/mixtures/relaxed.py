"""Run a relaxed member, plainly or through state buffers; both give the same numbers.

The plain path is differentiable twice. Where one of a node's merges projects, gates are folded into
the small projection matrices, `(a_e I + b_e W_e) x_e`; the states themselves are never scaled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, final

import torch
from torch import Tensor

from nas.supernet.binding import Path
from nas.supernet.execution import (
    Norm,
    adapt,
    batch_norm,
    merge_inputs,
    projected_sum,
    run_adapter,
    run_layers,
    run_node,
)
from nas.supernet.mixtures.mixture import Mixing, NodeMix
from nas.supernet.mixtures.state_buffer import StateBuffer, find_segments
from nas.supernet.partials import rejoined
from nas.supernet.relaxation import GateValues
from nas.supernet.slots import NodeCall, Program
from nas.supernet.supernet import Supernet

FAINTEST = 1e-30
"""Presence of an edge below which its operations are not rescaled: one over it has no gradient."""


@final
class RelaxedRun:
    """One relaxed forward pass.

    Args:
        supernet: The shared weights.
        mixing: The relaxed member.
        values: Of the gates.
        norm: How batch norms normalise; relaxed members have no statistics of their own.
        plain: Whether to leave out state buffers.
    """

    def __init__(
        self,
        supernet: Supernet,
        mixing: Mixing,
        values: GateValues,
        norm: Norm = batch_norm,
        *,
        plain: bool = False,
    ) -> None:
        self.plain = plain
        self.supernet = supernet
        self.weights = supernet.weights
        self.mixing = mixing
        self.norm = norm
        self.vector = mixing.vector(values).to(self.weights.anchor)
        self.left_out = self._left_out()
        self.numbers, self.shares = mixing.coefficients(self.vector, self.weights)

    def _left_out(self) -> frozenset[int]:
        """Return the positions of options that are not computed at these values."""
        if not self.mixing.leaving_out:
            return frozenset()
        off = torch.nonzero(self.vector.detach() == 0).flatten().tolist()
        return self.mixing.leaving_out.intersection(off)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits of images `(batch, *input_shape)`."""
        program = self.mixing.program
        return self.supernet.classify(self.program(program, (), x), program)

    def program(self, program: Program, above: Path, x: Tensor) -> Tensor:
        """Run one level of nodes."""
        states: list[Tensor | None] = [x]
        segments = [] if self.plain else find_segments(self.mixing, above, program.calls)
        buffers = [
            StateBuffer(segment, self.numbers, self.supernet.workspace) for segment in segments
        ]
        for buffer in buffers:
            buffer.put(0, x)
        for call, frees in zip(program.calls, program.frees, strict=True):
            path, state = (*above, call.name), self.buffered(call, above, buffers)
            states.append(self.node(call, path, states, x) if state is None else state)
            for buffer in buffers:
                buffer.put(call.step.index, cast(Tensor, states[-1]))
            for source in frees:
                states[source] = None
        for buffer in buffers:
            buffer.close()
        return cast(Tensor, states[-1])

    def buffered(self, call: NodeCall, above: Path, buffers: list[StateBuffer]) -> Tensor | None:
        """Run a node whose inputs lie in a buffer; None for all others."""
        for buffer in buffers:
            if call.step.index in buffer.segment.rows:
                mixed = self.mixing.nodes[(*above, call.name)]
                return self.operate(call, mixed, buffer.read(call.step.index))
        return None

    def node(
        self, call: NodeCall, path: Path, states: Sequence[Tensor | None], like: Tensor
    ) -> Tensor:
        """Run one node, mixed or not."""
        mixed = self.mixing.nodes.get(path)
        if mixed is None and call.cell is None:
            return run_node(call, states, like, self.weights, self.norm)
        merged = self.merge(call, mixed or NodeMix(), states, like)
        if call.cell is not None:
            return self.program(call.cell, path, merged)
        return self.operate(call, mixed or NodeMix(), merged)

    def merge(
        self, call: NodeCall, mixed: NodeMix, states: Sequence[Tensor | None], like: Tensor
    ) -> Tensor:
        """Return the mixture of a node's inputs."""
        if mixed.row is None:
            return merge_inputs(call, states, like, self.weights, self.norm)
        inputs = [self.edge(call, number, mixed, states) for number in range(len(call.inputs))]
        numbers = self.numbers[mixed.row]
        if mixed.projections is None:
            total = inputs[0] * numbers[0]
            for position, tensor in enumerate(inputs[1:], start=1):
                total = torch.addcmul(total, tensor, numbers[position])
            return total
        return projected_sum(inputs, list(self.matrices(mixed).unbind(0)))

    def matrices(self, mixed: NodeMix) -> Tensor:
        """Return `a_e I + b_e W_e` for every input, `(inputs, channels, channels)`."""
        assert mixed.projections is not None and mixed.row is not None
        slices = torch.stack([self.weights.read(use) for use in mixed.projections])
        degree, channels = slices.shape[:2]
        identity = torch.eye(channels, dtype=slices.dtype, device=slices.device)
        numbers = self.numbers[mixed.row, :degree, None, None]
        return numbers * identity + self.shares[mixed.row, :degree, None, None] * slices

    def edge(
        self, call: NodeCall, number: int, mixed: NodeMix, states: Sequence[Tensor | None]
    ) -> Tensor:
        """Return what an edge delivers, its operations mixed by their shares of its presence."""
        options = mixed.transforms.get(number)
        entry = call.inputs[number]
        if options is None:
            return adapt(entry, states, self.weights, self.norm)
        shares = entries(self.vector, [position for position, _, _ in options])
        present = shares.sum()
        shares = shares / torch.where(present > FAINTEST, present, torch.ones_like(present))
        x = cast(Tensor, states[entry.source])
        part = mixed.edge_parts.get(number)
        outputs = [
            (shares[number], run_adapter(adapter, layers, x[:, :part], self.weights, self.norm))
            for number, (position, adapter, layers) in enumerate(options)
            if position not in self.left_out
        ]
        if not outputs:
            return x.new_zeros((x.shape[0], *entry.adapter.target))
        return self.beside(weighted(outputs), x, part)

    def operate(self, call: NodeCall, mixed: NodeMix, merged: Tensor) -> Tensor:
        """Return a node's operation, or the mixture of its operations."""
        if not mixed.operations:
            return run_layers(call.layers, merged, self.weights, self.norm)
        shares = entries(self.vector, [position for position, _ in mixed.operations])
        part = merged[:, : mixed.part]
        outputs = [
            (shares[number], run_layers(layers, part, self.weights, self.norm))
            for number, (position, layers) in enumerate(mixed.operations)
            if position not in self.left_out
        ]
        return self.beside(weighted(outputs), merged, mixed.part)

    def beside(self, output: Tensor, x: Tensor, part: int | None) -> Tensor:
        """Return a mixture of operations with the channels of `x` that passed beside it."""
        if part is None:
            return output
        portion = self.mixing.portion
        return rejoined(output, x[:, part:], portion.divisor, shuffled=portion.shuffled)


def entries(vector: Tensor, places: list[int]) -> Tensor:
    """Return some entries; where they stand side by side an accelerator is not waited for."""
    if places and places == list(range(places[0], places[0] + len(places))):
        return vector[places[0] : places[0] + len(places)]
    return vector[places]


def weighted(outputs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the sum of shares times tensors."""
    (share, tensor), *others = outputs
    total = tensor * share
    for share, tensor in others:
        total = torch.addcmul(total, tensor, share)
    return total


def relaxed_logits(
    supernet: Supernet,
    mixing: Mixing,
    values: GateValues,
    x: Tensor,
    norm: Norm = batch_norm,
    *,
    plain: bool = False,
) -> Tensor:
    """Return the logits of a relaxed member for images `(batch, *input_shape)`.

    Args:
        supernet: The shared weights.
        mixing: The relaxed member.
        values: Of the gates.
        x: Images.
        norm: How batch norms normalise.
        plain: Whether to leave out state buffers, for second derivatives.
    """
    return RelaxedRun(supernet, mixing, values, norm, plain=plain).logits(x)


def relaxed_slots(supernet: Supernet, mixing: Mixing) -> dict[str, tuple[int, ...]]:
    """Return the slots a relaxed member reads, with the leading slice it reads of each."""
    shapes: dict[str, tuple[int, ...]] = {}
    program = mixing.program
    whole = (use for use in program.uses if use.key not in mixing.narrowed)
    for use in (*whole, *mixing.uses, *supernet.head_uses(program)):
        known = shapes.get(use.key, use.shape)
        shapes[use.key] = tuple(max(pair) for pair in zip(known, use.shape, strict=True))
    return shapes
