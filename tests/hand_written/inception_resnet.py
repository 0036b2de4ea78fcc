"""Inception-ResNet-v2 (Szegedy et al. 2016, arXiv:1602.07261), as its authors released it.

Norms have epsilon 0.001. Residuals are scaled by 0.17, 0.1 and 0.2 in the three kinds of blocks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hand_written.parts import GlobalHead, conv_bn, narrow

Kernel = int | tuple[int, int]
Layer = tuple[Kernel, int]


class Inception(nn.Module):
    """Parallel chains; `valid` chains end in an unpadded convolution of stride 2."""

    def __init__(
        self, inputs: int, chains: list[list[Layer]], percent: int, lower: bool = False
    ) -> None:
        super().__init__()
        self.chains = nn.ModuleList()
        self.width = 0
        for chain in chains:
            channels, layers = inputs, nn.Sequential()
            for number, (kernel, width) in enumerate(chain):
                width, end = narrow(width, percent), lower and number == len(chain) - 1
                stride, padding = (2, 0) if end else (1, None)
                unit = conv_bn(
                    channels, width, kernel, stride, padding=padding, eps=1e-3, act=nn.ReLU()
                )
                layers.append(unit)
                channels = width
            self.chains.append(layers)
            self.width += channels

    def forward(self, x: Tensor) -> list[Tensor]:
        return [chain(x) for chain in self.chains]


class Scaled(nn.Module):
    def __init__(
        self, channels: int, chains: list[list[Layer]], percent: int, scale: float, act: bool
    ) -> None:
        super().__init__()
        self.branches = Inception(channels, chains, percent)
        self.mix = nn.Conv2d(self.branches.width, channels, 1)
        self.scale, self.act = scale, act

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale * self.mix(torch.cat(self.branches(x), 1))
        return F.relu(x) if self.act else x


BLOCK_35: list[list[Layer]] = [[(1, 32)], [(1, 32), (3, 32)], [(1, 32), (3, 48), (3, 64)]]
BLOCK_17: list[list[Layer]] = [[(1, 192)], [(1, 128), ((1, 7), 160), ((7, 1), 192)]]
BLOCK_8: list[list[Layer]] = [[(1, 192)], [(1, 192), ((1, 3), 224), ((3, 1), 256)]]


def stem(percent: int) -> nn.ModuleList:
    units, channels = nn.ModuleList(), 3
    for kernel, width, stride, padding in (
        (3, 32, 2, 0), (3, 32, 1, 0), (3, 64, 1, 1), (1, 80, 1, 0), (3, 192, 1, 0),
    ):  # fmt: skip
        width = narrow(width, percent)
        units.append(
            conv_bn(channels, width, kernel, stride, padding=padding, eps=1e-3, act=nn.ReLU())
        )
        channels = width
    return units


class InceptionResNet(nn.Module):
    def __init__(
        self,
        repeats: tuple[int, int, int] = (10, 20, 10),
        percent: int = 100,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        self.stem = stem(percent)
        channels = narrow(192, percent)
        first = [[(1, 96)], [(1, 48), (5, 64)], [(1, 64), (3, 96), (3, 96)]]
        self.mixed = Inception(channels, first, percent)
        pooled = narrow(64, percent)
        self.pooled = conv_bn(channels, pooled, 1, eps=1e-3, act=nn.ReLU())
        channels = self.mixed.width + pooled
        self.stages = nn.ModuleList()
        lower: list[list[list[Layer]]] = [
            [[(3, 384)], [(1, 256), (3, 256), (3, 384)]],
            [[(1, 256), (3, 384)], [(1, 256), (3, 288)], [(1, 256), (3, 288), (3, 320)]],
        ]
        kinds = zip((BLOCK_35, BLOCK_17, BLOCK_8), (0.17, 0.1, 0.2), repeats, strict=True)
        for number, (chains, scale, repeat) in enumerate(kinds):
            stage = nn.Sequential()
            for block in range(repeat):
                act = number < 2 or block < repeat - 1
                stage.append(Scaled(channels, chains, percent, scale, act))
            self.stages.append(stage)
            if number < 2:
                ends = Inception(channels, lower[number], percent, lower=True)
                self.stages.append(ends)
                channels += ends.width
        outputs = narrow(1536, percent)
        self.last = conv_bn(channels, outputs, 1, eps=1e-3, act=nn.ReLU())
        self.head = GlobalHead(outputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.stem):
            x = layer(x)
            if number in (2, 4):
                x = F.max_pool2d(x, 3, 2)
        mean = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        x = torch.cat([*self.mixed(x), self.pooled(mean)], 1)
        for stage in self.stages:
            if isinstance(stage, Inception):
                x = torch.cat([*stage(x), F.max_pool2d(x, 3, 2)], 1)
            else:
                x = stage(x)
        return self.head(self.last(x))
