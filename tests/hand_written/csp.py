"""Cross-stage partial networks (Wang et al. 2019, arXiv:1911.11929).

CSPResNet-50, CSPResNeXt-50 and CSPDarknet-53 are as their authors configured them; CSPDenseNet is
the paper's wiring (its figure 3) around DenseNet.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hand_written.parts import GlobalHead, conv_bn, narrow


def leaky() -> nn.Module:
    return nn.LeakyReLU(0.1)


class Bottleneck(nn.Module):
    """A shortcut of too few channels is padded with zeros."""

    def __init__(self, inputs: int, inner: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(inputs, inner, 1, act=leaky()),
            conv_bn(inner, inner, groups=groups, act=leaky()),
            conv_bn(inner, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return F.leaky_relu(y + F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1])), 0.1)


class DarkBlock(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(width, inner, 1, act=leaky()), conv_bn(inner, width, act=leaky())
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class PartialStage(nn.Module):
    """One path past the blocks, one through them; both meet in a 1x1 convolution."""

    def __init__(
        self, lower: nn.Module, past: nn.Module, into: nn.Module, blocks: list[nn.Module],
        behind: nn.Module, mix: nn.Module,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lower, self.past, self.into = lower, past, into
        self.blocks, self.behind, self.mix = nn.Sequential(*blocks), behind, mix

    def forward(self, x: Tensor) -> Tensor:
        x = self.lower(x)
        past = self.past(x)
        return self.mix(torch.cat([past, self.behind(self.blocks(self.into(x)))], 1))


class CSPResNet(nn.Module):
    """CSPResNet-50, and with `groups=32` CSPResNeXt-50."""

    def __init__(
        self,
        groups: int = 1,
        blocks: tuple[int, ...] = (3, 3, 5, 2),
        percent: int = 100,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        grouped = groups > 1
        stem = narrow(64, percent, max(2, groups))
        self.stem = conv_bn(3, stem, 7, 2, act=leaky())
        self.stages = nn.Sequential()
        channels = stem
        for stage, repeats in enumerate(blocks):
            width = narrow(128, percent, max(2, groups)) * 2**stage
            inner = width if grouped else width // 2
            entry = stem if not stage else width
            # The two middle stages are entered without an activation.
            act = leaky if stage in (0, 3) else lambda: None
            lower: nn.Module = nn.Identity()
            if stage:
                lower = conv_bn(channels, channels, 3, 2, groups=groups, act=leaky())
            self.stages.append(
                PartialStage(
                    lower,
                    conv_bn(channels, width, 1, act=act()),
                    conv_bn(channels, entry, 1, act=act()),
                    [
                        Bottleneck(width if block else entry, inner, width, groups)
                        for block in range(repeats)
                    ],
                    conv_bn(width, width, 1, act=leaky()),
                    conv_bn(2 * width, 2 * width if grouped else width, 1, act=leaky()),
                )
            )
            channels = 2 * width if grouped else width
        self.head = GlobalHead(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(F.max_pool2d(self.stem(x), 2, 2, ceil_mode=True)))


class CSPDarknet(nn.Module):
    def __init__(
        self,
        blocks: tuple[int, ...] = (1, 2, 8, 8, 4),
        percent: int = 100,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        half = narrow(32, percent)
        self.stem = conv_bn(3, half, act=leaky())
        self.stages = nn.Sequential()
        channels = half
        for stage, repeats in enumerate(blocks):
            width = half * 2 ** (stage + 1)
            inner = width if not stage else width // 2
            self.stages.append(
                PartialStage(
                    conv_bn(channels, width, 3, 2, act=leaky()),
                    conv_bn(width, inner, 1, act=leaky()),
                    conv_bn(width, inner, 1, act=leaky()),
                    [DarkBlock(inner, inner if stage else width // 2) for _ in range(repeats)],
                    conv_bn(inner, inner, 1, act=leaky()),
                    conv_bn(2 * inner, width, 1, act=leaky()),
                )
            )
            channels = width
        self.head = GlobalHead(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(x)))


def ready_conv(inputs: int, outputs: int, kernel: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), conv)


class PartialDenseBlock(nn.Module):
    """A dense block that reads part of its input; `fusion` says where the rest comes back.

    The transition behind the block gives the channels that DenseNet's would.
    """

    def __init__(
        self, inputs: int, layers: int, growth: int, past: int, fusion: str, last: bool
    ) -> None:
        super().__init__()
        self.past = past
        self.layers = nn.ModuleList()
        channels = inputs - past
        for _ in range(layers):
            narrowed = ready_conv(channels, 4 * growth)
            self.layers.append(nn.Sequential(narrowed, ready_conv(4 * growth, growth, 3)))
            channels += growth
        self.width = inputs + layers * growth
        self.first: nn.Module | None = None
        self.second: nn.Module | None = None
        if last:
            return
        total = self.width
        self.width = total // 2
        if fusion == "last":
            self.first = ready_conv(channels, self.width - past)
        elif fusion == "both":
            self.first = ready_conv(channels, channels // 2)
            self.second = ready_conv(past + channels // 2, self.width)
        else:
            self.second = ready_conv(total, self.width)

    def forward(self, x: Tensor) -> Tensor:
        past, x = x[:, : self.past], x[:, self.past :]
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        if self.first is not None:
            x = self.first(x)
        x = torch.cat([past, x], 1)
        if self.second is not None:
            x = self.second(x)
        return F.avg_pool2d(x, 2) if self.first or self.second else x


class CSPDenseNet(nn.Module):
    def __init__(
        self,
        blocks: tuple[int, ...] = (6, 12, 24, 16),
        growth: int = 32,
        percent_past: int = 50,
        fusion: str = "both",
        classes: int = 1000,
    ) -> None:
        super().__init__()
        self.stem = conv_bn(3, 2 * growth, 7, 2, act=nn.ReLU())
        self.blocks = nn.Sequential()
        channels = 2 * growth
        for number, layers in enumerate(blocks):
            past = channels * percent_past // 100
            last = number == len(blocks) - 1
            block = PartialDenseBlock(channels, layers, growth, past, fusion, last)
            self.blocks.append(block)
            channels = block.width
        self.norm = nn.BatchNorm2d(channels)
        self.head = GlobalHead(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.max_pool2d(self.stem(x), 3, 2, 1))
        return self.head(F.relu(self.norm(x)))
