"""Primitive layers as data: what an operation is made of, with shapes and costs by arithmetic.

An operation is a short sequence of these (a separable convolution is `DepthwiseConv, Conv,
BatchNorm, ReLU`). `nas.cost` adds their numbers up and `nas.model` builds a torch module for each,
so shapes, parameters and multiply-adds are written once, here, and a contract test holds the
modules to them. A new layer is a new `AbstractLayer` plus a builder registered in `nas.model`.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import final

Shape = tuple[int, int, int]
"""Channels, height, width of one image's tensor."""


def strided(size: int, stride: int) -> int:
    """Return the resolution after a padded layer of odd kernel and the given stride."""
    return -(-size // stride)


@dataclass(frozen=True)
class AbstractLayer(abc.ABC):
    """One layer of an operation.

    The layer marked `strided` carries the node's stride; at most one layer of an operation is.
    `width` in the methods is the node's output width.
    """

    strided: bool = False

    def channels(self, channels: int, width: int) -> int:
        """Return the output channels for `channels` at the input."""
        return channels

    def resolution(self, size: int, stride: int) -> int:
        """Return the output height (or width) for `size` at the input."""
        return strided(size, stride) if self.strided else size

    def output(self, shape: Shape, width: int, stride: int) -> Shape:
        """Return the output shape."""
        return (
            self.channels(shape[0], width),
            self.resolution(shape[1], stride),
            self.resolution(shape[2], stride),
        )

    @abc.abstractmethod
    def parameters(self, channels: int, width: int) -> int:
        """Return the number of trainable numbers."""

    def macs(self, shape: Shape, width: int, stride: int) -> int:
        """Return the multiply-adds on one image: those of convolutions and matrix products."""
        return 0


@final
@dataclass(frozen=True)
class Conv(AbstractLayer):
    """Dense convolution without bias, padded by half its (odd) kernel.

    Args:
        kernel: Side of the kernel, odd.
        expand: None for the node's width, else that multiple of the input channels.
    """

    kernel: int = 3
    expand: int | None = None

    def channels(self, channels: int, width: int) -> int:
        """Return the node's width, or the expanded input channels."""
        return width if self.expand is None else channels * self.expand

    def parameters(self, channels: int, width: int) -> int:
        """Return `kernel^2 * in * out`."""
        return self.kernel**2 * channels * self.channels(channels, width)

    def macs(self, shape: Shape, width: int, stride: int) -> int:
        """Return the weights times the output positions."""
        _, height, breadth = self.output(shape, width, stride)
        return self.parameters(shape[0], width) * height * breadth


@final
@dataclass(frozen=True)
class DepthwiseConv(AbstractLayer):
    """One filter per channel, without bias, padded by half its (odd) kernel."""

    kernel: int = 3

    def parameters(self, channels: int, width: int) -> int:
        """Return `kernel^2 * channels`."""
        return self.kernel**2 * channels

    def macs(self, shape: Shape, width: int, stride: int) -> int:
        """Return the weights times the output positions."""
        _, height, breadth = self.output(shape, width, stride)
        return self.parameters(shape[0], width) * height * breadth


@final
@dataclass(frozen=True)
class BatchNorm(AbstractLayer):
    """Batch normalisation with scale and shift (Ioffe and Szegedy 2015, arXiv:1502.03167)."""

    def parameters(self, channels: int, width: int) -> int:
        """Return two per channel."""
        return 2 * channels


@final
@dataclass(frozen=True)
class ReLU(AbstractLayer):
    """Rectifier."""

    def parameters(self, channels: int, width: int) -> int:
        """Return 0."""
        return 0


@final
@dataclass(frozen=True)
class Pool(AbstractLayer):
    """Average or maximum over a window.

    Args:
        kind: `average` (padding not counted) or `max`.
        kernel: Side of the window; an odd one is padded by half, an even one is not padded.
    """

    kind: str = "average"
    kernel: int = 3

    def resolution(self, size: int, stride: int) -> int:
        """Return the output side; an even window drops an incomplete rest."""
        if self.kernel % 2:
            return super().resolution(size, stride)
        return (size - self.kernel) // stride + 1

    def parameters(self, channels: int, width: int) -> int:
        """Return 0."""
        return 0
