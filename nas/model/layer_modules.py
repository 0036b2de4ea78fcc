"""Torch modules of layers that torch has no module for, on `(batch, channels, height, width)`.

Their weights wait for `nas.model.initialise`: torch's own initialisation would cost time and draw
from the global generator.
"""

from __future__ import annotations

from typing import cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@final
class Convolution(nn.Conv2d):
    """A `torch.nn.Conv2d` whose weights wait for `nas.model.initialise`."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""


@final
class Classifier(nn.Linear):
    """A `torch.nn.Linear` whose weights wait for `nas.model.initialise`."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""


@final
class GateLayer(nn.Conv2d):
    """A 1x1 convolution inside a gate, which starts near zero: the gate is then even."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 1)

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""


@final
class Rectifier(nn.ReLU):
    """A `torch.nn.ReLU` without the detour through `torch.nn.functional`."""

    def forward(self, x: Tensor) -> Tensor:
        """Rectify, in place if `inplace`."""
        return torch.relu_(x) if self.inplace else torch.relu(x)


@final
class GlobalAverage(nn.Module):
    """Average over all positions."""

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, channels, height, width)` to `(batch, channels, 1, 1)`."""
        return x.mean((2, 3), keepdim=True)


@final
class ChannelGate(nn.Module):
    """Multiply every channel by a number between 0 and 1 that all positions decide together.

    Args:
        layers: From the averages, `(batch, channels, 1, 1)`, to the gates.
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels."""
        return x * cast(Tensor, self.layers(x.mean((2, 3), keepdim=True)))


@final
class ChannelNorm(nn.Module):
    """Layer norm over the channels of each position.

    Args:
        channels: Channels.
        eps: Added to the variance.
    """

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each position."""
        last = x.permute(0, 2, 3, 1)
        normed = F.layer_norm(last, self.weight.shape, self.weight, self.bias, self.eps)
        return normed.permute(0, 3, 1, 2)


@final
class ChannelAffine(nn.Module):
    """Scale and shift every channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift."""
        return x * self.weight[:, None, None] + self.bias[:, None, None]


@final
class Shuffle(nn.Module):
    """Deal the channels of groups out in turn: the first of each group, then the second."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Reorder the channels."""
        batch, channels, height, width = x.shape
        grouped = x.reshape(batch, self.groups, channels // self.groups, height, width)
        return grouped.transpose(1, 2).reshape(batch, channels, height, width)


@final
class Resize(nn.Module):
    """Raise the resolution by a whole factor."""

    def __init__(self, factor: int, mode: str) -> None:
        super().__init__()
        self.factor = factor
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """Interpolate."""
        size = (x.shape[2] * self.factor, x.shape[3] * self.factor)
        aligned = False if self.mode == "bilinear" else None
        return F.interpolate(x, size, mode=self.mode, align_corners=aligned)


@final
class TokenMixer(nn.Linear):
    """One linear layer over the positions, the same for every channel."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""

    def forward(self, x: Tensor) -> Tensor:
        """Mix the positions of each channel of `(batch, channels, height, width)`."""
        return super().forward(x.flatten(2)).reshape(x.shape)
