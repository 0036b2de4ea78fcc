"""Residual networks by hand: He et al. 2015 (arXiv:1512.03385) and 2016 (arXiv:1603.05027).

Wide (arXiv:1605.07146), aggregated (arXiv:1611.05431) and pyramidal (arXiv:1610.02915) ones too.
"""

from __future__ import annotations

from math import floor

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hand_written.parts import GlobalHead, conv_bn


def pad_channels(x: Tensor, channels: int) -> Tensor:
    """Append channels of zeros."""
    missing = channels - x.shape[1]
    return torch.cat([x, x.new_zeros(x.shape[0], missing, *x.shape[2:])], 1) if missing else x


class PostBlock(nn.Module):
    """Convolutions with norms, rectifiers between them, one behind the sum."""

    def __init__(
        self, inputs: int, body: list[nn.Module], outputs: int, stride: int, skip: str
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)
        self.outputs, self.stride = outputs, stride
        changes = stride > 1 or inputs != outputs
        self.skip = None
        if changes and skip == "projection":
            self.skip = conv_bn(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if self.skip is not None:
            return F.relu(y + self.skip(x))
        return F.relu(y + pad_channels(x[:, :, :: self.stride, :: self.stride], self.outputs))


class CifarResNet(nn.Module):
    def __init__(self, blocks: int, width: int, skip: str, classes: int = 10) -> None:
        super().__init__()
        self.stem = conv_bn(3, width, act=nn.ReLU())
        layers: list[nn.Module] = []
        inputs = width
        for stage in range(3):
            outputs = width * 2**stage
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                body: list[nn.Module] = [
                    conv_bn(inputs, outputs, 3, stride, act=nn.ReLU()),
                    conv_bn(outputs, outputs),
                ]
                layers.append(PostBlock(inputs, body, outputs, stride, skip))
                inputs = outputs
        self.blocks = nn.Sequential(*layers)
        self.head = GlobalHead(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)))


class PlainCifar(nn.Module):
    def __init__(self, layers: int, width: int, classes: int = 10) -> None:
        super().__init__()
        parts: list[nn.Module] = [conv_bn(3, width, act=nn.ReLU())]
        inputs = width
        for stage in range(3):
            for layer in range(layers):
                stride = 2 if stage and not layer else 1
                parts.append(conv_bn(inputs, width * 2**stage, 3, stride, act=nn.ReLU()))
                inputs = width * 2**stage
        self.chain = nn.Sequential(*parts)
        self.head = GlobalHead(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.chain(x))


class ImageNetResNet(nn.Module):
    """`inner` is a bottleneck's width in units of the stage's; None means basic blocks."""

    def __init__(
        self,
        blocks: tuple[int, ...],
        width: int = 64,
        inner: float | None = None,
        groups: int = 1,
        early: bool = False,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        self.stem = conv_bn(3, width, 7, 2, act=nn.ReLU())
        layers: list[nn.Module] = []
        inputs = width
        for stage, count in enumerate(blocks):
            plane = width * 2**stage
            for block in range(count):
                stride = 2 if stage and not block else 1
                if inner is None:
                    outputs = plane
                    body: list[nn.Module] = [
                        conv_bn(inputs, plane, 3, stride, act=nn.ReLU()),
                        conv_bn(plane, plane),
                    ]
                else:
                    outputs, thin = 4 * plane, int(plane * inner)
                    first, second = (stride, 1) if early else (1, stride)
                    body = [
                        conv_bn(inputs, thin, 1, first, act=nn.ReLU()),
                        conv_bn(thin, thin, 3, second, act=nn.ReLU(), groups=groups),
                        conv_bn(thin, outputs, 1),
                    ]
                layers.append(PostBlock(inputs, body, outputs, stride, "projection"))
                inputs = outputs
        self.blocks = nn.Sequential(*layers)
        self.head = GlobalHead(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(F.max_pool2d(self.stem(x), 3, 2, 1)))


class PreBlock(nn.Module):
    """Norm, rectifier, convolution, two or three times; `kernels` and `widths` say which."""

    def __init__(
        self,
        inputs: int,
        kernels: tuple[int, ...],
        widths: tuple[int, ...],
        strides: tuple[int, ...],
        skip: str,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        source = inputs
        for kernel, width, stride in zip(kernels, widths, strides, strict=True):
            conv = nn.Conv2d(source, width, kernel, stride, kernel // 2, bias=False)
            self.layers.append(nn.ModuleList([nn.BatchNorm2d(source), conv]))
            source = width
        self.stride = max(strides)
        changes = self.stride > 1 or inputs != source
        self.skip = None
        if changes and skip == "projection":
            self.skip = nn.Conv2d(inputs, source, 1, self.stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        ready = y = x
        for number, (norm, conv) in enumerate(self.layers):
            y = F.relu(norm(y))
            ready = y if number == 0 else ready
            y = conv(y)
        if self.skip is not None:
            return y + self.skip(ready)
        return y + pad_channels(x[:, :, :: self.stride, :: self.stride], y.shape[1])


class PreResNet(nn.Module):
    """Pre-activation and wide networks: `widths` of the stages behind a stem."""

    def __init__(
        self,
        blocks: int,
        stem: int,
        widths: tuple[int, ...],
        bottleneck: bool = False,
        skip: str = "projection",
        classes: int = 10,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, stem, 3, padding=1, bias=False)
        layers: list[nn.Module] = []
        inputs = stem
        for stage, width in enumerate(widths):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                if bottleneck:
                    sizes, kernels = (width, width, 4 * width), (1, 3, 1)
                    strides: tuple[int, ...] = (stride, 1, 1)
                else:
                    sizes, kernels, strides = (width, width), (3, 3), (stride, 1)
                layers.append(PreBlock(inputs, kernels, sizes, strides, skip))
                inputs = sizes[-1]
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(inputs)
        self.head = GlobalHead(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.norm(self.blocks(self.stem(x)))))


class PyramidBlock(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()

        def conv(source: int, target: int, kernel: int, step: int = 1) -> nn.Conv2d:
            return nn.Conv2d(source, target, kernel, step, kernel // 2, bias=False)

        def norm(channels: int) -> nn.BatchNorm2d:
            return nn.BatchNorm2d(channels)

        if bottleneck:
            self.outputs = 4 * width
            body = [norm(inputs), conv(inputs, width, 1), norm(width), nn.ReLU()]
            body += [conv(width, width, 3, stride), norm(width), nn.ReLU()]
            body += [conv(width, 4 * width, 1), norm(4 * width)]
        else:
            self.outputs = width
            body = [norm(inputs), conv(inputs, width, 3, stride), norm(width), nn.ReLU()]
            body += [conv(width, width, 3), norm(width)]
        self.body = nn.Sequential(*body)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        skip = F.avg_pool2d(x, 2, ceil_mode=True) if self.stride == 2 else x
        return self.body(x) + pad_channels(skip, self.outputs)


class PyramidNet(nn.Module):
    def __init__(self, blocks: int, alpha: int, bottleneck: bool, classes: int = 10) -> None:
        super().__init__()
        self.stem = conv_bn(3, 16)
        layers: list[nn.Module] = []
        inputs = 16
        for number in range(1, 3 * blocks + 1):
            width = floor(16 + alpha * number / (3 * blocks))
            stride = 2 if number in (blocks + 1, 2 * blocks + 1) else 1
            block = PyramidBlock(inputs, width, stride, bottleneck)
            layers.append(block)
            inputs = block.outputs
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(inputs)
        self.head = GlobalHead(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.norm(self.blocks(self.stem(x)))))
