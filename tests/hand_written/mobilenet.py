"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) by hand, table 2 of the paper."""

from __future__ import annotations

from torch import Tensor, nn

from hand_written.parts import GlobalHead, conv_bn

TABLE = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def eighths(channels: float) -> int:
    """Return the multiple of 8 that is nearest, but not more than a tenth below."""
    low = max(8, int((channels + 4) / 8) * 8)
    return low + 8 if low < 0.9 * channels else low


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = inputs * expand
        parts: list[nn.Module] = []
        if expand > 1:
            parts.append(conv_bn(inputs, wide, 1, act=nn.ReLU6()))
        parts.append(conv_bn(wide, wide, 3, stride, act=nn.ReLU6(), groups=wide))
        parts.append(conv_bn(wide, outputs, 1))
        self.body = nn.Sequential(*parts)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.skip else self.body(x)


class MobileNetV2(nn.Module):
    def __init__(self, width: float = 1.0, classes: int = 1000) -> None:
        super().__init__()
        inputs = eighths(32 * width)
        parts: list[nn.Module] = [conv_bn(3, inputs, 3, 2, act=nn.ReLU6())]
        for expand, base, count, first in TABLE:
            for number in range(count):
                outputs = eighths(base * width)
                parts.append(InvertedResidual(inputs, outputs, 1 if number else first, expand))
                inputs = outputs
        last = eighths(1280 * max(1.0, width))
        parts.append(conv_bn(inputs, last, 1, act=nn.ReLU6()))
        self.body = nn.Sequential(*parts)
        self.head = GlobalHead(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))
