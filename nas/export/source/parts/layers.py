"""Layers that torch has no module for, as they stand in exported files."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.export.source.pieces import part


@part
class GlobalAverage(nn.Module):
    """Average over all positions: (batch, channels, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


@part
class ChannelGate(nn.Module):
    """Multiply every channel by a number that its average and those of the others decide."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        gates: Tensor = self.layers(x.mean((2, 3), keepdim=True))
        return x * gates


@part
class ChannelNorm(nn.Module):
    """Layer norm over the channels of each position."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


@part
class ChannelAffine(nn.Module):
    """Scale and shift every channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None] + self.bias[:, None, None]


@part
class TokenMixer(nn.Linear):
    """One linear layer over the positions, the same for every channel."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(2)).reshape(x.shape)


@part
class PadChannels(nn.Module):
    """Keep every so many rows and columns, and append channels of zeros."""

    def __init__(self, extra: int, stride: int = 1) -> None:
        super().__init__()
        self.extra = extra
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.extra))


@part
def resize_like(x: Tensor, other: Tensor) -> Tensor:
    """Interpolate to the height and width of another tensor."""
    return F.interpolate(x, other.shape[2:], mode="bilinear", align_corners=False)


@part
def gain(channels: int, start: float) -> nn.Parameter:
    """Return a learned number per channel, or one for all of them."""
    return nn.Parameter(torch.full((channels, 1, 1), start))
