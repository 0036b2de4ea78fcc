"""Pieces that the networks written by hand share."""

from __future__ import annotations

from torch import Tensor, nn


def conv_bn(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int] = 3,
    stride: int = 1,
    *,
    act: nn.Module | None = None,
    padding: int | tuple[int, int] | None = None,
    eps: float = 1e-5,
    groups: int = 1,
    dilation: int = 1,
    bias: bool = False,
) -> nn.Sequential:
    """Convolution, padded by half its kernel unless told otherwise, then norm and activation."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    around = tuple(dilation * (side // 2) for side in sides) if padding is None else padding
    conv = nn.Conv2d(
        inputs, outputs, sides, stride, around, dilation=dilation, groups=groups, bias=bias
    )
    rest = [] if act is None else [act]
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, eps=eps), *rest)


def narrow(channels: int, percent: int, multiple: int = 1) -> int:
    """Return `percent` of the channels, rounded down to a multiple, at least one multiple."""
    return max(multiple, channels * percent // 100 // multiple * multiple)


class GlobalHead(nn.Module):
    """Mean over the positions, then a linear classifier."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(x.mean((2, 3)))


def count(module: nn.Module) -> int:
    """Return the number of trainable numbers."""
    return sum(parameter.numel() for parameter in module.parameters())
