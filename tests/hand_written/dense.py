"""DenseNet (Huang et al. 2016, arXiv:1608.06993) and FractalNet (arXiv:1605.07648) by hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hand_written.parts import GlobalHead, conv_bn


def bn_relu_conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), conv)


class DenseBody(nn.Module):
    def __init__(self, layers: tuple[int, ...], growth: int, channels: int, bc: bool) -> None:
        super().__init__()
        self.transitions = nn.ModuleDict()
        self.blocks = nn.ModuleList()
        for stage, count in enumerate(layers):
            block = nn.ModuleList()
            if stage:
                outputs = channels // 2 if bc else channels
                block.append(bn_relu_conv(channels, outputs, 1))
                channels = outputs
            for _ in range(count):
                if bc:
                    narrow = bn_relu_conv(channels, 4 * growth, 1)
                    block.append(nn.Sequential(narrow, bn_relu_conv(4 * growth, growth, 3)))
                else:
                    block.append(bn_relu_conv(channels, growth, 3))
                channels += growth
            self.blocks.append(block)
        self.norm = nn.BatchNorm2d(channels)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        for stage, block in enumerate(self.blocks):
            layers = list(block)
            if stage:
                x = F.avg_pool2d(layers.pop(0)(x), 2)
            for layer in layers:
                x = torch.cat([x, layer(x)], 1)
        return F.relu(self.norm(x))


class CifarDenseNet(nn.Module):
    def __init__(self, layers: int, growth: int, bc: bool, classes: int = 10) -> None:
        super().__init__()
        channels = 2 * growth if bc else 16
        self.stem = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.body = DenseBody((layers,) * 3, growth, channels, bc)
        self.head = GlobalHead(self.body.channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.stem(x)))


class ImageNetDenseNet(nn.Module):
    def __init__(
        self, layers: tuple[int, ...], growth: int, bc: bool = True, classes: int = 1000
    ) -> None:
        super().__init__()
        self.stem = conv_bn(3, 2 * growth, 7, 2, act=nn.ReLU())
        self.body = DenseBody(layers, growth, 2 * growth, bc)
        self.head = GlobalHead(self.body.channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(F.max_pool2d(self.stem(x), 3, 2, 1)))


class FractalBlock(nn.Module):
    """Three columns by hand: column k convolves every 2^k rows; joins are means of what ends."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()

        def unit(channels: int) -> nn.Sequential:
            return conv_bn(channels, width, act=nn.ReLU())

        self.row1 = unit(inputs)
        self.row2 = nn.ModuleList([unit(inputs), unit(width)])
        self.row3 = unit(width)
        self.row4 = nn.ModuleList([unit(inputs), unit(width), unit(width)])

    def forward(self, x: Tensor) -> Tensor:
        first = self.row1(x)
        second = (self.row2[0](x) + self.row2[1](first)) / 2
        third = self.row3(second)
        return (self.row4[0](x) + self.row4[1](second) + self.row4[2](third)) / 3


class FractalNet(nn.Module):
    def __init__(self, blocks: int, width: int, classes: int = 10) -> None:
        super().__init__()
        widths = [width * 2**block for block in range(blocks)]
        pairs = zip([3, *widths], widths, strict=False)
        self.blocks = nn.ModuleList(FractalBlock(*pair) for pair in pairs)
        self.head = GlobalHead(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = F.max_pool2d(block(x), 2)
        return self.head(x)
