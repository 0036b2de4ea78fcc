"""Layers that slide a window over positions: convolutions and pooling.

Padding is `same` (half the reach of an odd kernel: the resolution is divided by the stride, rounded
up), `valid` (none), or a number of rows and columns on every side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from nas.errors import ConfigError
from nas.topology.layers.base import (
    AbstractFree,
    AbstractLayer,
    ChannelUse,
    Shape,
    check_number,
)

Pair = tuple[int, int]
Padding = int | Pair | str

MAX_KERNEL = 127
MAX_DILATION = 64
MAX_CHANNELS = 65_536


def pair(value: int | Pair) -> Pair:
    """Return height and width of a number that may stand for both."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def plain(value: Pair) -> int | Pair:
    """Return one number for two equal ones."""
    return value[0] if value[0] == value[1] else value


@dataclass(frozen=True)
class AbstractWindow(AbstractLayer):
    """A window of `kernel` positions, padded.

    Args:
        kernel: Side of the window, or its height and width.
        padding: `same`, `valid`, or rows (and columns) added on every side.

    Raises:
        ConfigError: If a number is out of range, an even kernel is to be padded by half, or the
            window changes height and width differently.
    """

    kernel: int | Pair = 3
    padding: Padding = "same"

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", plain(pair(self.kernel)))
        for side in self.sides:
            check_number(self, "kernel", side, 1, MAX_KERNEL)
        check_number(self, "dilation", self.spread, 1, MAX_DILATION)
        self._settle_padding()
        high, wide = self._loss
        if high != wide:
            raise ConfigError(
                f"{type(self).__name__}: a window of {self.sides} with padding {self.margins} "
                "changes height and width differently.",
                fix="Pad every side by half the kernel (padding 'same').",
            )

    def _settle_padding(self) -> None:
        """Bring equal paddings to one form, and refuse impossible ones."""
        self._check_padding()
        if self.margins == self._half:
            object.__setattr__(self, "padding", "same")
        elif self.margins == (0, 0):
            object.__setattr__(self, "padding", "valid")
        elif not isinstance(self.padding, str):
            object.__setattr__(self, "padding", plain(pair(self.padding)))

    def _check_padding(self) -> None:
        if self.padding == "same" and self._half is None:
            raise ConfigError(
                f"{type(self).__name__}: a window of {self.sides} has no middle to pad around.",
                fix="Use an odd kernel, the padding 'valid', or a number of rows.",
            )
        if not isinstance(self.padding, str):
            for side in pair(self.padding):
                check_number(self, "padding", side, 0, MAX_KERNEL * MAX_DILATION)
        elif self.padding not in ("same", "valid"):
            raise ConfigError(
                f"{type(self).__name__}: unknown padding '{self.padding}'.",
                fix="Known paddings: same, valid, or a number of rows.",
            )

    @property
    def spread(self) -> int:
        """Distance of neighbouring positions of the window."""
        return 1

    @property
    def sides(self) -> Pair:
        """Height and width of the window."""
        return pair(self.kernel)

    @property
    def _half(self) -> Pair | None:
        high, wide = self.sides
        if high % 2 == 0 or wide % 2 == 0:
            return None
        return self.spread * (high // 2), self.spread * (wide // 2)

    @property
    def margins(self) -> Pair:
        """Rows added above and below, columns added left and right."""
        if self.padding == "valid":
            return (0, 0)
        if self.padding == "same":
            half = self._half
            assert half is not None
            return half
        assert not isinstance(self.padding, str)
        return pair(self.padding)

    @property
    def _loss(self) -> Pair:
        """Positions lost at stride 1, in height and width."""
        high, wide = (
            self.spread * (side - 1) - 2 * margin
            for side, margin in zip(self.sides, self.margins, strict=True)
        )
        return high, wide

    def resolution(self, size: int, stride: int) -> int:
        """Return the output side, 0 where no window fits; an incomplete rest is dropped."""
        return max(0, (size - self._loss[0] - 1) // (stride if self.strided else 1) + 1)


@final
@dataclass(frozen=True)
class Conv(AbstractWindow):
    """Convolution, dense or in groups.

    Args:
        kernel: Side of the kernel, or its height and width.
        padding: `same`, `valid`, or rows (and columns) added on every side.
        expand: None for the node's width, else that multiple of the input channels.
        groups: Groups of channels that do not see one another; divides input and output channels.
        dilation: Distance of neighbouring positions of the kernel.
        bias: Whether a learned shift per output channel is added.
        own_width: Output channels of its own, in place of the node's width.
    """

    expand: int | None = None
    groups: int = 1
    dilation: int = 1
    bias: bool = False
    own_width: int | None = None

    @property
    def channel_use(self) -> ChannelUse:
        """Return `sum`, or `all` for groups: who is in a group depends on how many there are."""
        return "sum" if self.groups == 1 else "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "groups", self.groups, 1, MAX_CHANNELS)
        if self.expand is not None:
            check_number(self, "expand", self.expand, 1, 64)
        if self.own_width is not None:
            check_number(self, "own_width", self.own_width, 1, MAX_CHANNELS)
        if self.expand is not None and self.own_width is not None:
            raise ConfigError(
                "Conv: 'expand' and 'own_width' both set the output channels.", fix="Keep one."
            )

    @property
    def parametric(self) -> bool:
        """Whether the layer owns weights: always, also where few channels meet many groups."""
        return True

    @property
    def spread(self) -> int:
        """Distance of neighbouring positions of the kernel."""
        return self.dilation

    def refusal(self, channels: int, width: int) -> tuple[str, str] | None:
        """Return what is wrong with channels that the groups do not divide."""
        for number, noun in ((channels, "input"), (self.channels(channels, width), "output")):
            if number % self.groups:
                near = sorted({max(1, number // self.groups), -(-number // self.groups)})
                wanted = " or ".join(str(count * self.groups) for count in near)
                return (
                    f"{self.groups} groups do not divide {number} {noun} channels",
                    f"Give it {wanted} {noun} channels, or another number of groups.",
                )
        return None

    def channels(self, channels: int, width: int) -> int:
        """Return its own width, the expanded input channels, or the node's width."""
        if self.own_width is not None:
            return self.own_width
        return width if self.expand is None else channels * self.expand

    def _weights(self, channels: int, width: int) -> int:
        high, wide = self.sides
        return high * wide * (channels // self.groups) * self.channels(channels, width)

    def parameters(self, channels: int, width: int) -> int:
        """Return `height * width * in / groups * out`, and `out` for a bias."""
        return self._weights(channels, width) + self.bias * self.channels(channels, width)

    def macs(self, shape: Shape, width: int, stride: int) -> int:
        """Return the weights times the output positions."""
        _, height, breadth = self.output(shape, width, stride)
        return self._weights(shape[0], width) * height * breadth


@final
@dataclass(frozen=True)
class DepthwiseConv(AbstractWindow):
    """Convolution with one filter per channel.

    Args:
        kernel: Side of the kernel, or its height and width.
        padding: `same`, `valid`, or rows (and columns) added on every side.
        dilation: Distance of neighbouring positions of the kernel.
        bias: Whether a learned shift per channel is added.
    """

    dilation: int = 1
    bias: bool = False

    @property
    def channel_use(self) -> ChannelUse:
        """Return `each`."""
        return "each"

    @property
    def spread(self) -> int:
        """Distance of neighbouring positions of the kernel."""
        return self.dilation

    def parameters(self, channels: int, width: int) -> int:
        """Return `height * width * channels`, and `channels` for a bias."""
        high, wide = self.sides
        return (high * wide + self.bias) * channels

    def macs(self, shape: Shape, width: int, stride: int) -> int:
        """Return the filters' numbers times the output positions."""
        high, wide = self.sides
        _, height, breadth = self.output(shape, width, stride)
        return high * wide * shape[0] * height * breadth


@final
@dataclass(frozen=True)
class Pool(AbstractWindow, AbstractFree):
    """Average or maximum over a window.

    Args:
        kernel: Side of the window, or its height and width.
        padding: `auto` (half of an odd window, none of an even one), `same`, `valid`, or rows (and
            columns) on every side, at most half the window.
        kind: `average` or `max`.
        ceil: Whether an incomplete window at the end counts as one.
        count_padding: Whether an average divides by the whole window, padding included.
    """

    padding: Padding = "auto"
    kind: Literal["average", "max"] = "average"
    ceil: bool = False
    count_padding: bool = False

    def __post_init__(self) -> None:
        if self.padding == "auto":
            odd = all(side % 2 for side in pair(self.kernel))
            object.__setattr__(self, "padding", "same" if odd else "valid")
        super().__post_init__()
        if self.kind not in ("average", "max"):
            raise ConfigError(
                f"Pool: unknown kind '{self.kind}'.", fix="Known kinds: average, max."
            )
        for side, margin in zip(self.sides, self.margins, strict=True):
            check_number(self, "padding", margin, 0, side // 2)

    def resolution(self, size: int, stride: int) -> int:
        """Return the output side; the last window starts on the image or its first padding."""
        step = stride if self.strided else 1
        if not self.ceil:
            return super().resolution(size, stride)
        number = max(0, -(-(size - self._loss[0] - 1) // step) + 1)
        return number - ((number - 1) * step >= size + self.margins[0])


@final
@dataclass(frozen=True)
class GlobalPool(AbstractFree):
    """Average over all positions; a single position is left."""

    def resolution(self, size: int, stride: int) -> int:
        """Return 1, or 0 where nothing came in."""
        return min(size, 1)
