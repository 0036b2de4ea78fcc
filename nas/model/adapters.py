"""Modules for what edges do to the tensors they carry; the kinds are decided in `nas.cost`."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.cost.shapes import Adapter
from nas.model.layers import build_layer, layer_builder
from nas.topology.facts import WHOLE, Gain
from nas.topology.layers import Shape
from nas.topology.scale_layer import Scale


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


@final
class ChannelPart(nn.Module):
    """Take one of several equal groups of channels.

    Args:
        index: Which one, from 0.
        count: How many there are.
    """

    def __init__(self, index: int, count: int) -> None:
        super().__init__()
        self.index = index
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, channels, h, w)` to `(batch, channels / count, h, w)`."""
        size = x.shape[1] // self.count
        return x.narrow(1, self.index * size, size)


@final
class Scaling(nn.Module):
    """Multiply by a gain: a constant, a learned number or one per channel.

    The learned numbers are the parameter `gain` of shape `(1,)` or `(channels,)`.
    """

    def __init__(self, gain: Gain, channels: int) -> None:
        super().__init__()
        self.start = gain.value
        size = {"scalar": 1, "channel": channels}.get(gain.kind)
        self.gain = None if size is None else nn.Parameter(torch.full((size,), gain.value))

    def forward(self, x: Tensor) -> Tensor:
        """Return the product; the shape stays."""
        if self.gain is None:
            return x * self.start
        return x * self.gain[:, None, None]


@layer_builder(Scale)
def _build_scale(layer: Scale, in_channels: int, width: int, stride: int) -> nn.Module:
    return Scaling(layer.gain, in_channels)


def fixed_modules(adapter: Adapter) -> list[nn.Module]:
    """Return the modules of an adapter that come first and have no weights."""
    taken, target = adapter.taken, adapter.target
    modules: list[nn.Module] = []
    if adapter.part != WHOLE:
        modules.append(ChannelPart(*adapter.part))
    if adapter.kind == "zero_pad":
        modules.append(ZeroPad(adapter.stride, target[0] - taken[0]))
    if adapter.kind in ("resample", "resample_project") and taken[1:] != target[1:]:
        modules.append(Resample(taken, (taken[0], *target[1:])))
    return modules


def build_adapter(adapter: Adapter) -> nn.Sequential | None:
    """Return the modules of an adapter in order of execution, None for the identity."""
    if adapter.identity:
        return None
    modules = fixed_modules(adapter)
    shape = adapter.adapted
    stride = adapter.stride if adapter.kind == "project" else 1
    for layer in adapter.layers:
        modules.append(build_layer(layer, shape[0], adapter.target[0], stride))
        shape = layer.output(shape, adapter.target[0], stride)
    return nn.Sequential(*modules) if modules else None
