"""Modules of the merges `factor * sum_e M_e x_e`, of plain concatenation and of pairwise means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.model.merges.base import AbstractMerge, add_up, weighted_sum

CONCATENATION_LIMIT = 2**20
"""Elements up to which one concatenated convolution beats a sum of small ones on a CPU.

Measured with channels_last in float32: below it the single convolution is 1.1 to 4 times faster,
above it the copy leaves the cache and costs up to 5 times more than the sum.
"""


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
        return weighted_sum(inputs, (self.weights * self.factor).unbind(0))


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


@final
class PairwiseMean(AbstractMerge):
    """Nested means of two: that of the oldest two, then of it and the next input, and so on."""

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return `((x1 + x2) / 2 + x3) / 2 ...`."""
        return pairwise_mean(inputs)


def pairwise_mean(inputs: Sequence[Tensor]) -> Tensor:
    """Return nested means of two, oldest first."""
    total = inputs[0] + inputs[1]
    for tensor in inputs[2:]:
        total = total.mul_(0.5).add_(tensor)
    return total.mul_(0.5)


def pairwise_coefficients(degree: int) -> list[float]:
    """Return what nested means of two multiply each input with, oldest first."""
    return [0.5 ** (degree - max(place, 1)) for place in range(degree)]
