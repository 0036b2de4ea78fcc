"""Normalisations, and a learned scale and shift without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nas.topology.layers.base import AbstractLayer, ChannelUse, check_number


@dataclass(frozen=True)
class AbstractNorm(AbstractLayer):
    """A normalisation: its output does not know the scale of its input.

    Args:
        eps: Added to the variance.
    """

    eps: float = 1e-5

    def __post_init__(self) -> None:
        check_number(self, "eps", self.eps, 1e-12, 1.0)


@final
@dataclass(frozen=True)
class BatchNorm(AbstractNorm):
    """Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167).

    Args:
        eps: Added to the variance.
        affine: Whether a learned scale and shift per channel follow.
    """

    affine: bool = True

    @property
    def channel_use(self) -> ChannelUse:
        """Return `each`."""
        return "each"

    def parameters(self, channels: int, width: int) -> int:
        """Return two per channel, or none."""
        return 2 * channels if self.affine else 0


@final
@dataclass(frozen=True)
class LayerNorm(AbstractNorm):
    """Layer normalisation over the channels of each position, with scale and shift.

    As ConvNeXt uses the norm of Ba et al. 2016 (arXiv:1607.06450): positions do not mix.

    Args:
        eps: Added to the variance.
    """

    eps: float = 1e-6

    def parameters(self, channels: int, width: int) -> int:
        """Return two per channel."""
        return 2 * channels


@final
@dataclass(frozen=True)
class Affine(AbstractLayer):
    """Learned scale and shift per channel, in place of a norm (ResMLP, arXiv:2105.03404)."""

    @property
    def channel_use(self) -> ChannelUse:
        """Return `each`."""
        return "each"

    def parameters(self, channels: int, width: int) -> int:
        """Return two per channel."""
        return 2 * channels
