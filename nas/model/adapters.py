"""Modules for what edges do to the tensors they carry; the kinds are decided in `nas.cost`."""

from __future__ import annotations

from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from nas.cost.shapes import Adapter
from nas.model.layers import Convolution, build_operation
from nas.topology.layers import Shape


@final
class Resample(nn.Module):
    """Bring a tensor to another resolution: average pooling down, bilinear interpolation up.

    A tensor that shrinks on one side and grows on the other is interpolated.

    Args:
        source: Shape before, `(channels, height, width)`.
        target: Shape after; the channels are the same.
    """

    def __init__(self, source: Shape, target: Shape) -> None:
        super().__init__()
        self.size = target[1:]
        self.shrinks = target[1] <= source[1] and target[2] <= source[2]
        whole = source[1] % target[1] == 0 and source[2] % target[2] == 0
        # Equal to adaptive pooling where the ratio is whole, and every export format knows it.
        self.window = (source[1] // target[1], source[2] // target[2]) if whole else None

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, channels, *source)` to `(batch, channels, *target)`."""
        if not self.shrinks:
            return F.interpolate(x, self.size, mode="bilinear", align_corners=False)
        if self.window is not None:
            return F.avg_pool2d(x, self.window)
        return F.adaptive_avg_pool2d(x, self.size)


@final
class ZeroPad(nn.Module):
    """Subsample, and append channels of zeros (option A of He et al. 2015, arXiv:1512.03385).

    Args:
        stride: Every so many rows and columns are kept.
        extra: Channels to append.
    """

    def __init__(self, stride: int, extra: int) -> None:
        super().__init__()
        self.stride = stride
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, channels, h, w)` to `(batch, channels + extra, h / stride, w / stride)`."""
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.extra)) if self.extra else x


def build_adapter(adapter: Adapter) -> nn.Sequential | None:
    """Return the modules of an adapter in order of execution, None for the identity."""
    source, target = adapter.source, adapter.target
    if adapter.kind == "identity":
        return None
    if adapter.operation is not None:
        layers = build_operation(adapter.operation, source, target[0], 1)
        return nn.Sequential(*layers) if len(layers) else None
    if adapter.kind == "zero_pad":
        return nn.Sequential(ZeroPad(adapter.stride, target[0] - source[0]))
    modules: list[nn.Module] = []
    if adapter.kind != "project" and source[1:] != target[1:]:
        modules.append(Resample(source, target))
    if adapter.kind != "resample":
        stride = adapter.stride if adapter.kind == "project" else 1
        modules.append(Convolution(source[0], target[0], 1, stride=stride, bias=False))
        modules.append(nn.BatchNorm2d(target[0]))
    return nn.Sequential(*modules)
