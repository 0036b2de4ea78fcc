"""HarDNet (Chao et al. 2019, arXiv:1909.00948): layer l reads l - 2^n if 2^n divides l."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hand_written.parts import GlobalHead, conv_bn, narrow

FORMS: dict[int, dict[str, Any]] = {
    39: {
        "stem": (24, 48),
        "growth": (16, 20, 64, 160),
        "layers": (4, 16, 8, 4),
        "outputs": (96, 320, 640, 1024),
        "halved": (1, 1, 1, 0),
        "multiplier": 1.6,
    },
    68: {
        "stem": (32, 64),
        "growth": (14, 16, 20, 40, 160),
        "layers": (8, 16, 16, 16, 4),
        "outputs": (128, 256, 320, 640, 1024),
        "halved": (1, 0, 1, 1, 0),
        "multiplier": 1.7,
    },
    85: {
        "stem": (48, 96),
        "growth": (24, 24, 28, 36, 48, 256),
        "layers": (8, 16, 16, 16, 16, 4),
        "outputs": (192, 256, 320, 480, 720, 1280),
        "halved": (1, 0, 1, 0, 1, 0),
        "multiplier": 1.7,
    },
}


class HarmonicBlock(nn.Module):
    """Outputs the layers of odd number and the last one, not its own input."""

    def __init__(
        self, inputs: int, growth: int, multiplier: float, layers: int, separable: bool
    ) -> None:
        super().__init__()
        self.reads: list[list[int]] = []
        widths = [inputs]
        self.layers = nn.ModuleList()
        for layer in range(1, layers + 1):
            powers = [n for n in range(layer.bit_length()) if layer % 2**n == 0]
            self.reads.append(sorted(layer - 2**n for n in powers))
            width = int(int(growth * multiplier ** max(powers) + 1) / 2) * 2
            channels = sum(widths[source] for source in self.reads[-1])
            if separable:
                first = conv_bn(channels, width, 1, act=nn.ReLU6())
                self.layers.append(nn.Sequential(first, conv_bn(width, width, groups=width)))
            else:
                self.layers.append(conv_bn(channels, width, act=nn.ReLU6()))
            widths.append(width)
        self.kept = [layer for layer in range(1, layers + 1) if layer % 2 or layer == layers]
        self.width = sum(widths[layer] for layer in self.kept)

    def forward(self, x: Tensor) -> Tensor:
        states = [x]
        for layer, reads in zip(self.layers, self.reads, strict=True):
            states.append(layer(torch.cat([states[source] for source in reads], 1)))
        return torch.cat([states[layer] for layer in self.kept], 1)


class HarDNet(nn.Module):
    def __init__(
        self, depth: int = 68, separable: bool = False, percent: int = 100, classes: int = 1000
    ) -> None:
        super().__init__()
        form = FORMS[depth]
        stem = [narrow(width, percent, 2) for width in form["stem"]]
        self.parts = nn.ModuleList(
            [
                conv_bn(3, stem[0], 3, 2, act=nn.ReLU6()),
                conv_bn(stem[0], stem[1], 1 if separable else 3, act=nn.ReLU6()),
                self._lower(stem[1], 3, separable),
            ]
        )
        channels = stem[1]
        columns = zip(form["growth"], form["layers"], form["outputs"], form["halved"], strict=True)
        for growth, layers, outputs, halved in columns:
            width = narrow(growth, percent, 2)
            block = HarmonicBlock(channels, width, form["multiplier"], layers, separable)
            channels = narrow(outputs, percent, 2)
            self.parts += [block, conv_bn(block.width, channels, 1, act=nn.ReLU6())]
            if halved:
                self.parts.append(self._lower(channels, 2, separable))
        self.head = GlobalHead(channels, classes)

    @staticmethod
    def _lower(channels: int, kernel: int, separable: bool) -> nn.Module:
        if separable:
            return conv_bn(channels, channels, 3, 2, groups=channels)
        return nn.MaxPool2d(kernel, 2, padding=kernel // 2 if kernel % 2 else 0)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return self.head(x)
