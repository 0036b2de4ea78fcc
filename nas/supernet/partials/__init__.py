"""Partials: which part of a state goes through the mixed operations; one file each.

Mixing several operations costs as many times the memory of one. Sending a part of the channels
through the mixture and the others past it costs that part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from nas.registry import Registry
from nas.supernet.declared_parts import AbstractPart


@final
@dataclass(frozen=True)
class Portion:
    """What a partial asks of a relaxed member.

    Args:
        divisor: One in so many channels goes through the mixed operations; 1 for all.
        shuffled: Whether channels change places behind it, so that each meets an operation
            sooner or later.
        edge_strengths: Whether every incoming edge has a learned strength beside its gate.
    """

    divisor: int = 1
    shuffled: bool = False
    edge_strengths: bool = False


WHOLE = Portion()
"""All channels, and no strengths."""


class AbstractPartial(AbstractPart):
    """What is partial."""

    def portion(self) -> Portion:
        """Return what it asks of every relaxed member."""
        return WHOLE


PARTIALS: Registry[type[AbstractPartial]] = Registry("partial", __name__)


def part_of(channels: int, outputs: int, stride: int, divisor: int) -> int | None:
    """Return how many channels go through a mixed operation, None for all of them.

    Only an operation that keeps the shape has channels that may pass beside it; others run whole.

    Args:
        channels: Of the operation's input.
        outputs: Channels of its output.
        stride: Of the operation.
        divisor: One in so many goes through it.

    Raises:
        ValueError: If the channels cannot be divided.
    """
    if divisor == 1 or channels != outputs or stride != 1:
        return None
    if channels % divisor:
        raise ValueError(f"{channels} channels cannot be divided into {divisor} equal parts")
    return channels // divisor


def rejoined(part: Tensor, rest: Tensor, divisor: int, *, shuffled: bool) -> Tensor:
    """Return the mixed part and the channels beside it as one state.

    Args:
        part: `(batch, channels / divisor, height, width)`.
        rest: `(batch, channels - channels / divisor, height, width)`.
        divisor: One in so many went through the mixture.
        shuffled: Whether channels change places: the i-th of every part stand together.
    """
    joined = torch.cat([part, rest], dim=1)
    if not shuffled:
        return joined
    batch, channels, height, width = joined.shape
    split = joined.view(batch, divisor, channels // divisor, height, width)
    return split.transpose(1, 2).reshape(batch, channels, height, width)
