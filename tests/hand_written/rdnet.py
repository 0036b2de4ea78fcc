"""RDNet (Kim et al. 2024, arXiv:2403.19588): dense connections with the blocks of ConvNeXt."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hand_written.parts import narrow
from hand_written.vovnet import EffectiveGate

FORMS: dict[str, tuple[int, tuple[int, ...], tuple[int, ...]]] = {
    "tiny": (64, (64, 104, 128, 128, 128, 128, 224), (1, 2, 6)),
    "small": (72, (64, 128, *(128,) * 7, 240, 240), (1, 2, 9)),
    "base": (120, (96, 128, *(168,) * 7, 336, 336), (1, 2, 9)),
    "large": (144, (128, 192, *(256,) * 8, 360, 360), (1, 2, 10)),
}
"""First width, growth of every stage, and the stages in front of which the resolution halves."""


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of every position."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ChannelScale(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain[:, None, None] * x


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int, gate: bool) -> None:
        super().__init__()
        inner = inputs * 4 // 8 * 8
        self.body = nn.Sequential(
            nn.Conv2d(inputs, inputs, 7, padding=3, groups=inputs),
            ChannelNorm(inputs),
            nn.Conv2d(inputs, inner, 1),
            nn.GELU(),
            nn.Conv2d(inner, growth, 1),
        )
        if gate:
            self.body.append(EffectiveGate(growth))
        self.scale = ChannelScale(growth)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.body(x))


class RDNet(nn.Module):
    def __init__(
        self, size: str = "tiny", layers: int = 3, percent: int = 100, classes: int = 1000
    ) -> None:
        super().__init__()
        width, growths, halved = FORMS[size]
        channels = narrow(width, percent, 8)
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 4, 4), ChannelNorm(channels))
        self.stages = nn.ModuleList()
        for stage, published in enumerate(growths):
            growth = narrow(published, percent, 8)
            parts = nn.ModuleList()
            if stage:
                side = 2 if stage in halved else 1
                outputs = channels // 2 // 8 * 8
                mix = nn.Conv2d(channels, outputs, side, side)
                parts.append(nn.Sequential(ChannelNorm(channels), mix))
                channels = outputs
            for _ in range(layers):
                parts.append(DenseLayer(channels, growth, gate=stage >= 2))
                channels += growth
            self.stages.append(parts)
        self.norm = ChannelNorm(channels)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages:
            for part in stage:
                y = part(x)
                x = torch.cat([x, y], 1) if isinstance(part, DenseLayer) else y
        mean = F.adaptive_avg_pool2d(x, 1)
        return self.classifier(self.norm(mean).flatten(1))
