"""Modules that merge a node's inputs: `factor * sum_e M_e x_e`, or channels side by side.

One module per form of `M_e`, whatever the merge is called: the names and their scales are data in
`nas.topology.merges`. A node with a single live input has no merge module at all.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.cost.shapes import NodeStep

CONCATENATION_LIMIT = 2**20
"""Elements up to which one concatenated convolution beats a sum of small ones on a CPU.

Measured with channels_last in float32: below it the single convolution is 1.1 to 4 times faster,
above it the copy leaves the cache and costs up to 5 times more than the sum.
"""


class AbstractMerge(nn.Module, abc.ABC):
    """Combine the inputs of a node.

    Shape:
        inputs: two or more tensors `(batch, channels, height, width)`, oldest source first; all
            equal in shape but for `Stacked`, whose inputs may differ in channels.
        returns: `(batch, channels, height, width)`.
    """

    @abc.abstractmethod
    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Combine the tensors."""


def add_up(inputs: Sequence[Tensor], factor: float = 1.0) -> Tensor:
    """Return `factor` times the sum of two or more tensors, without a temporary per input."""
    total = inputs[0] + inputs[1]
    for tensor in inputs[2:]:
        total = total.add_(tensor)
    return total if factor == 1.0 else total.mul_(factor)


@final
class Summed(AbstractMerge):
    """Sum of the inputs times a factor (1 for a sum, 1/d for a mean)."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return `factor * sum_e x_e`."""
        return add_up(inputs, self.factor)


@final
class Weighted(AbstractMerge):
    """Sum of the inputs, each times a learned number, all of them 1 at the start.

    The numbers are the parameter `weights` of shape `(inputs,)`.
    """

    def __init__(self, degree: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.weights = nn.Parameter(torch.ones(degree))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return `factor * sum_e w_e x_e`."""
        scaled = self.weights * self.factor
        total = inputs[0] * scaled[0]
        for position, tensor in enumerate(inputs[1:], start=1):
            total = torch.addcmul(total, tensor, scaled[position])
        return total


@final
class Projected(AbstractMerge):
    """Concatenation followed by a 1x1 convolution without bias, kept as one slice per input.

    The parameters `slices[position]` have shape `(channels, channels)`, rows are outputs. Whether
    one concatenated convolution or a sum of small ones runs depends on the size: see
    `CONCATENATION_LIMIT`.
    """

    def __init__(self, degree: int, channels: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.slices = nn.ParameterList(torch.empty(channels, channels) for _ in range(degree))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return `factor * sum_e W_e x_e`."""
        if self._concatenates(inputs[0]):
            weight = torch.cat(list(self.slices), dim=1)
            return F.conv2d(torch.cat(list(inputs), dim=1), self._kernel(weight))
        total = F.conv2d(inputs[0], self._kernel(self.slices[0]))
        for tensor, weight in zip(inputs[1:], list(self.slices)[1:], strict=True):
            total = total.add_(F.conv2d(tensor, self._kernel(weight)))
        return total

    def _concatenates(self, first: Tensor) -> bool:
        if torch.compiler.is_compiling() or first.device.type != "cpu":
            return True  # a traced program must hold for every batch size
        return first.numel() * len(self.slices) <= CONCATENATION_LIMIT

    def _kernel(self, weight: Tensor) -> Tensor:
        return (weight if self.factor == 1.0 else weight * self.factor)[:, :, None, None]


@final
class Stacked(AbstractMerge):
    """Channels side by side, oldest source first."""

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Concatenate along the channels."""
        return torch.cat(list(inputs), dim=1)


def build_merge(step: NodeStep) -> AbstractMerge | None:
    """Return the merge module of a node, None where it has fewer than two live inputs."""
    degree = len(step.inputs)
    if degree < 2:
        return None
    match step.merge.weight:
        case "identity":
            return Summed(step.factor)
        case "scalar":
            return Weighted(degree, step.factor)
        case "projection":
            return Projected(degree, step.merged[0], step.factor)
        case "stacked":
            return Stacked()
