"""Gates on channels: what all positions say together scales every channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from nas.errors import ConfigError
from nas.topology.layers.base import AbstractLayer, Shape, check_number

MAX_GATE = 65_536


@final
@dataclass(frozen=True)
class SqueezeExcite(AbstractLayer):
    """Squeeze and excitation (Hu et al. 2017, arXiv:1709.01507).

    Global average, linear, rectifier, linear, gate, product; both linear layers have biases.

    Args:
        reduction: Channels per hidden unit, rounded down, at least one unit.
        own_width: Hidden units, in place of the reduction.
        gate: `sigmoid`, or `hardsigmoid` as in MobileNetV3 (arXiv:1905.02244).
    """

    reduction: int = 16
    own_width: int | None = None
    gate: Literal["sigmoid", "hardsigmoid"] = "sigmoid"

    def __post_init__(self) -> None:
        check_number(self, "reduction", self.reduction, 1, MAX_GATE)
        if self.own_width is not None:
            check_number(self, "own_width", self.own_width, 1, MAX_GATE)
            # One form for equal gates: the reduction says nothing where the width is given.
            object.__setattr__(self, "reduction", 16)
        if self.gate not in ("sigmoid", "hardsigmoid"):
            raise ConfigError(
                f"SqueezeExcite: unknown gate '{self.gate}'.",
                fix="Known gates: sigmoid, hardsigmoid.",
            )

    def hidden(self, channels: int) -> int:
        """Return the hidden units for this many channels."""
        return self.own_width or max(1, channels // self.reduction)

    def parameters(self, channels: int, width: int) -> int:
        """Return the weights and biases of both linear layers."""
        hidden = self.hidden(channels)
        return 2 * channels * hidden + hidden + channels

    def macs(self, shape: Shape, width: int, stride: int) -> int:
        """Return the weights of both linear layers: they run once per image."""
        return 2 * shape[0] * self.hidden(shape[0])


@final
@dataclass(frozen=True)
class EffectiveSqueezeExcite(AbstractLayer):
    """Gate of one linear layer and a hard sigmoid (Lee and Park 2019, arXiv:1911.06667)."""

    def parameters(self, channels: int, width: int) -> int:
        """Return the weights and biases of the linear layer."""
        return channels * channels + channels

    def macs(self, shape: Shape, width: int, stride: int) -> int:
        """Return the weights of the linear layer: it runs once per image."""
        return shape[0] ** 2
