"""U^2-Net (Qin et al. 2020, arXiv:2005.09007): a U-Net whose every stage is a U-Net."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hand_written.parts import conv_bn

HEIGHTS = (7, 6, 5, 4, 0, 0)
"""Levels of the blocks of the six stages; 0 stands for the block that dilates instead."""

FULL = (
    ((32, 64), (32, 128), (64, 256), (128, 512), (256, 512), (256, 512)),
    ((16, 64), (32, 64), (64, 128), (128, 256), (256, 512)),
)
SMALL = (((16, 64),) * 6, ((16, 64),) * 5)
"""Inner and outer channels of the encoder's blocks, and of the decoder's, the largest map first."""


def unit(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    return conv_bn(inputs, outputs, dilation=dilation, bias=True, act=nn.ReLU())


def lowered(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2, 2, ceil_mode=True)


def like(x: Tensor, other: Tensor) -> Tensor:
    size = other.shape[2:]
    if x.shape[2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


class ResidualU(nn.Module):
    """RSU of `height` levels; height 0 is the block of four levels that only dilates."""

    def __init__(self, height: int, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.pools = height > 0
        levels = height or 4
        dilations = [1] * (levels - 1) + [2] if height else [1, 2, 4, 8]
        self.entry = unit(inputs, outputs)
        widths = [outputs] + [inner] * (levels - 1)
        self.down = nn.ModuleList(
            unit(width, inner, dilation) for width, dilation in zip(widths, dilations, strict=True)
        )
        self.up = nn.ModuleList(
            unit(2 * inner, inner if level else outputs, dilations[level] if not height else 1)
            for level in reversed(range(levels - 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        entry = self.entry(x)
        states = [self.down[0](entry)]
        for number, layer in enumerate(self.down[1:], start=1):
            # The deepest level dilates where it is, it does not pool.
            deeper = self.pools and number < len(self.down) - 1
            states.append(layer(lowered(states[-1]) if deeper else states[-1]))
        y = states.pop()
        for layer in self.up:
            skip = states.pop()
            y = layer(torch.cat([skip, like(y, skip)], 1))
        return entry + y


class U2Net(nn.Module):
    def __init__(
        self,
        encoder: tuple[tuple[int, int], ...] = FULL[0],
        decoder: tuple[tuple[int, int], ...] = FULL[1],
        maps: int = 1,
    ) -> None:
        super().__init__()
        self.encoder = nn.ModuleList()
        channels = 3
        for height, (inner, outer) in zip(HEIGHTS, encoder, strict=True):
            self.encoder.append(ResidualU(height, channels, inner, outer))
            channels = outer
        self.decoder = nn.ModuleList()
        for level in reversed(range(5)):
            inner, outer = decoder[level]
            inputs = channels + encoder[level][1]
            self.decoder.append(ResidualU(HEIGHTS[level], inputs, inner, outer))
            channels = outer
        self.sides = nn.ModuleList(
            nn.Conv2d(outer, maps, 3, padding=1)
            for outer in (encoder[5][1], *(outer for _, outer in reversed(decoder)))
        )
        self.fuse = nn.Conv2d(6 * maps, maps, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for block in self.encoder:
            skips.append(block(lowered(skips[-1]) if skips else x))
        states = [skips.pop()]
        for block in self.decoder:
            skip = skips.pop()
            states.append(block(torch.cat([skip, like(states[-1], skip)], 1)))
        maps = [side(state) for side, state in zip(self.sides, states, strict=True)]
        return torch.sigmoid(self.fuse(torch.cat([like(side, maps[-1]) for side in maps], 1)))
