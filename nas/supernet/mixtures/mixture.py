"""A relaxed member: the base program, its mixed nodes, and where each gate value enters.

The coefficients of every mixed node of a network are computed in one go from the gate values, so a
relaxed step spends its time on images and not on hundreds of operations on single numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from nas.cost.shapes import Adapter
from nas.supernet.binding import Path
from nas.supernet.gates import merge_coefficients
from nas.supernet.partials import Portion
from nas.supernet.relaxation import GateValues
from nas.supernet.slots import LayerCall, Program, SlotUse
from nas.supernet.weights import SharedWeights

OFF, ON = -2, -1
"""Positions of the constants 0 and 1 behind the gate values."""

EdgeOption = tuple[int, Adapter, tuple[LayerCall, ...]]
"""Position of the option's probability, its adapter, its layers."""


@final
@dataclass
class NodeMix:
    """How one node is mixed.

    Args:
        row: Its row in the coefficients; None where it merges as in the base member.
        projections: Weight of every input, where one of its merges projects.
        operations: Position of the probability and layers of every operation, if mixed.
        transforms: Per input number, the operations mixed on that edge.
        part: Channels that go through the mixed operations; None for all.
        edge_parts: The same per input number with mixed operations, where it is not all.
    """

    row: int | None = None
    projections: tuple[SlotUse, ...] | None = None
    operations: tuple[tuple[int, tuple[LayerCall, ...]], ...] = ()
    transforms: dict[int, tuple[EdgeOption, ...]] = field(default_factory=dict)
    part: int | None = None
    edge_parts: dict[int, int] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Mixing:
    """A relaxed member.

    Args:
        program: The base member.
        nodes: The mixed nodes.
        names: Choices whose values make up the vector of gate values, in order.
        complements: Positions whose complement to 1 is appended (edges that may be absent).
        uses: Slots that mixed parts read beyond the program's own.
        portion: What is partial.
        strength_index: Per row and input, the position of the edge's strength.
        narrowed: Slots of which only a part is read, whatever the program says.
        leaving_out: Positions of options that are not computed where their value is 0.
    """

    program: Program
    nodes: Mapping[Path, NodeMix]
    names: tuple[str, ...]
    complements: Tensor
    gate_index: Tensor
    merge_index: Tensor
    powers: Tensor
    learned: Tensor
    projected: Tensor
    scalars: tuple[tuple[int, int, SlotUse], ...]
    uses: tuple[SlotUse, ...]
    portion: Portion
    strength_index: Tensor
    narrowed: frozenset[str]
    leaving_out: frozenset[int] = frozenset()

    def vector(self, values: GateValues) -> Tensor:
        """Return all gate values, complements and the constants 0 and 1 in one vector."""
        parts = [values[name] for name in self.names]
        like = parts[0] if parts else torch.zeros(0)
        joined = torch.cat(parts) if parts else like
        return torch.cat([joined, 1 - joined[self.complements], like.new_tensor([0.0, 1.0])])

    def coefficients(self, vector: Tensor, weights: SharedWeights) -> tuple[Tensor, Tensor]:
        """Return the number and the share of the projection of every input, `(rows, inputs)`."""
        vector = vector.to(weights.anchor)
        scalars = vector.new_ones(self.gate_index.shape)
        if self.scalars:
            rows = torch.tensor([entry[0] for entry in self.scalars])
            columns = torch.tensor([entry[1] for entry in self.scalars])
            numbers = torch.cat([weights.read(entry[2]) for entry in self.scalars])
            scalars = scalars.index_put((rows, columns), numbers)
        return merge_coefficients(
            self._probabilities(vector),
            vector[self.merge_index],
            self.powers.to(vector),
            self.learned.to(vector),
            self.projected.to(vector),
            scalars,
        )

    def _probabilities(self, vector: Tensor) -> Tensor:
        """Return the gate of every input, times its share of the node's edge strengths."""
        gates = vector[self.gate_index]
        if not self.portion.edge_strengths:
            return gates
        padding = (self.gate_index == OFF).to(vector.device)
        strengths = vector[self.strength_index].masked_fill(padding, -math.inf)
        return gates * strengths.softmax(-1)
