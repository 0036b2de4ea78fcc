"""Res2Net (Gao et al. 2019, arXiv:1904.01169): groups of channels, each fed by the one before."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hand_written.parts import GlobalHead, conv_bn

BLOCKS = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


class SplitBlock(nn.Module):
    """The first block of a stage feeds no group from another one, and pools the last group."""

    def __init__(
        self, inputs: int, width: int, scale: int, outputs: int, stride: int, first: bool
    ) -> None:
        super().__init__()
        self.scale, self.first, self.stride = scale, first, stride
        self.widen = conv_bn(inputs, width * scale, 1, act=nn.ReLU())
        self.groups = nn.ModuleList(
            conv_bn(width, width, 3, stride, act=nn.ReLU()) for _ in range(max(1, scale - 1))
        )
        self.mix = conv_bn(width * scale, outputs, 1)
        self.shortcut = conv_bn(inputs, outputs, 1, stride) if first else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        parts = self.widen(x).chunk(self.scale, 1)
        states: list[Tensor] = []
        for part, group in zip(parts, self.groups, strict=False):
            states.append(group(part + states[-1] if states and not self.first else part))
        if self.scale > 1:
            rest = F.avg_pool2d(parts[-1], 3, self.stride, 1) if self.first else parts[-1]
            states = [*states, rest] if self.first else [rest, *states]
        return F.relu(self.mix(torch.cat(states, 1)) + self.shortcut(x))


class Res2Net(nn.Module):
    def __init__(
        self, depth: int = 50, width: int = 26, scale: int = 4, base: int = 64, classes: int = 1000
    ) -> None:
        super().__init__()
        self.stem = conv_bn(3, base, 7, 2, act=nn.ReLU())
        self.blocks = nn.Sequential()
        channels = base
        for stage, blocks in enumerate(BLOCKS[depth]):
            planes = base * 2**stage
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                inner = planes * width // 64
                unit = SplitBlock(channels, inner, scale, 4 * planes, stride, not block)
                self.blocks.append(unit)
                channels = 4 * planes
        self.head = GlobalHead(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(F.max_pool2d(self.stem(x), 3, 2, 1)))
