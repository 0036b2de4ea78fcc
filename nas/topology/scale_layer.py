"""The layer behind an edge's gain: multiplication by a number, or by one number per channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nas.topology.facts import PLAIN, Gain
from nas.topology.layers import AbstractLayer, ChannelUse


@final
@dataclass(frozen=True)
class Scale(AbstractLayer):
    """Multiply by a gain.

    Args:
        gain: The factor, or where the learned ones start.
    """

    gain: Gain = PLAIN

    @property
    def channel_use(self) -> ChannelUse:
        """Return `each`."""
        return "each"

    def parameters(self, channels: int, width: int) -> int:
        """Return one for a learned scalar, one per channel for a vector."""
        return {"scalar": 1, "channel": channels}.get(self.gain.kind, 0)
