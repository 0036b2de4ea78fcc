"""What every primitive layer has: shapes, parameters and multiply-adds by arithmetic.

An operation is a short sequence of layers (a separable convolution is `DepthwiseConv, Conv,
BatchNorm, ReLU`). A layer treats height and width alike, so that one number tells what it does to
a resolution; a window whose sides differ is padded so that this holds.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Literal

from nas.errors import ConfigError

Shape = tuple[int, int, int]
"""Channels, height, width of one image's tensor."""


ChannelUse = Literal["each", "sum", "all"]
"""What one output channel reads: its own input channel, a weighted sum of all of them, or anything
else: channels together that are no sum of parts, or parts that depend on how many there are."""


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

    @property
    def parametric(self) -> bool:
        """Whether the layer owns weights."""
        return self.parameters(1, 1) > 0

    @property
    def channel_use(self) -> ChannelUse:
        """What an output channel reads; `all` unless a layer says otherwise."""
        return "all"

    @property
    def random(self) -> bool:
        """Whether two applications to one tensor differ in training."""
        return False

    def at(self, shape: Shape) -> AbstractLayer:
        """Return the layer with what it needs to know of its input's shape filled in.

        Only a layer whose weights depend on the resolution needs anything.
        """
        return self

    def refusal(self, channels: int, width: int) -> tuple[str, str] | None:
        """Return why the layer cannot read `channels` channels, and the way out; None if it can."""
        return None

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


@dataclass(frozen=True)
class AbstractFree(AbstractLayer):
    """A layer without weights; most of them treat every channel by itself."""

    @property
    def channel_use(self) -> ChannelUse:
        """Return `each`."""
        return "each"

    def parameters(self, channels: int, width: int) -> int:
        """Return 0."""
        return 0


def check_number(layer: AbstractLayer, name: str, value: float, low: float, high: float) -> None:
    """Refuse an argument of a layer that is out of range.

    Raises:
        ConfigError: If `value` is below `low` or above `high`.
    """
    if not low <= value <= high:
        raise ConfigError(
            f"{type(layer).__name__}: '{name}' is {value}, but must be {low} to {high}.",
            fix=f"The nearest is {min(max(value, low), high)}.",
        )
