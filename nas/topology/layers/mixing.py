"""Layers that move numbers between positions or channels: resizing, shuffling, token mixing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

from nas.errors import ConfigError
from nas.topology.layers.base import (
    AbstractFree,
    AbstractLayer,
    ChannelUse,
    Shape,
    check_number,
)


@final
@dataclass(frozen=True)
class Upsample(AbstractFree):
    """Raise the resolution by a whole factor.

    Args:
        factor: The factor.
        mode: `bilinear` (corners not aligned) or `nearest`.
    """

    factor: int = 2
    mode: Literal["bilinear", "nearest"] = "bilinear"

    def __post_init__(self) -> None:
        check_number(self, "factor", self.factor, 2, 32)
        if self.mode not in ("bilinear", "nearest"):
            raise ConfigError(
                f"Upsample: unknown mode '{self.mode}'.", fix="Known modes: bilinear, nearest."
            )

    def resolution(self, size: int, stride: int) -> int:
        """Return the multiple."""
        return size * self.factor


@final
@dataclass(frozen=True)
class Dropout(AbstractFree):
    """Zero each number with probability `rate` in training (arXiv:1207.0580).

    Args:
        rate: The probability, in whole percent at best: only those can be written as text.
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        check_number(self, "rate", self.rate, 0.0, 0.99)

    @property
    def random(self) -> bool:
        """Whether two applications to one tensor differ in training: they drop other numbers."""
        return True


@final
@dataclass(frozen=True)
class ChannelShuffle(AbstractFree):
    """Deal the channels of `groups` groups out in turn (ShuffleNet, arXiv:1707.01083).

    Args:
        groups: Groups; divides the channels.
    """

    groups: int = 2

    def __post_init__(self) -> None:
        check_number(self, "groups", self.groups, 2, 4096)

    @property
    def channel_use(self) -> ChannelUse:
        """Return `all`: where a channel goes depends on how many there are."""
        return "all"

    def refusal(self, channels: int, width: int) -> tuple[str, str] | None:
        """Return what is wrong with channels that the groups do not divide."""
        if channels % self.groups == 0:
            return None
        return (
            f"{self.groups} groups do not divide {channels} channels",
            f"Give it a multiple of {self.groups} channels.",
        )


@final
@dataclass(frozen=True)
class TokenLinear(AbstractLayer):
    """Linear layer over the positions of each channel, with bias (ResMLP, arXiv:2105.03404).

    Its weights depend on the resolution: `at` fills the number of positions in.

    Args:
        tokens: Positions, height times width; None until `at` has seen the input.
    """

    tokens: int | None = None

    @property
    def channel_use(self) -> ChannelUse:
        """Return `each`: all channels pass the same linear layer."""
        return "each"

    @property
    def parametric(self) -> bool:
        """Whether the layer owns weights: always."""
        return True

    def at(self, shape: Shape) -> TokenLinear:
        """Return the layer for the positions of this input."""
        return replace(self, tokens=shape[1] * shape[2])

    def parameters(self, channels: int, width: int) -> int:
        """Return the weights and biases for the positions that `at` filled in."""
        tokens = self.tokens or 1
        return tokens * tokens + tokens

    def macs(self, shape: Shape, width: int, stride: int) -> int:
        """Return the weights times the channels."""
        return shape[0] * (shape[1] * shape[2]) ** 2
