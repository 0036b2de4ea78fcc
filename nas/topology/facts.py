"""What an edge or a node of a wiring may carry beyond its ends: parts, gains, rules of patterns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from nas.errors import ArchitectureError

EdgePair = tuple[int, int]
Part = tuple[int, int]
"""Which of how many equal groups of channels: `(0, 1)` is all of them."""

WHOLE: Part = (0, 1)
GAIN_KINDS = ("none", "fixed", "scalar", "channel")


@final
@dataclass(frozen=True, order=True)
class Gain:
    """What an edge multiplies its tensor with, behind its adapter.

    Args:
        kind: `none`; `fixed` (the number `value`); `scalar` (one learned number); `channel` (one
            learned number per channel: LayerScale, Touvron et al. 2021, arXiv:2103.17239).
        value: The number, or where the learned ones start; 0 leaves a new edge without effect
            (ReZero, Bachlechner et al. 2020, arXiv:2003.04887).

    Raises:
        ArchitectureError: If the kind is unknown or the value is not finite.
    """

    kind: str = "none"
    value: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in GAIN_KINDS:
            raise ArchitectureError(
                f"Unknown kind of gain '{self.kind}'.", fix=f"Known: {', '.join(GAIN_KINDS)}."
            )
        if not math.isfinite(self.value):
            raise ArchitectureError(
                f"A gain of {self.value} is no finite number.", fix="Write 1.0 to change nothing."
            )
        if self.kind == "none" and self.value != 1.0:
            raise ArchitectureError(
                f"A gain of kind 'none' has no value; got {self.value}.",
                fix="Use the kind 'fixed', 'scalar' or 'channel'.",
            )
        object.__setattr__(self, "value", float(self.value))

    @property
    def learned(self) -> bool:
        """Whether it has weights."""
        return self.kind in ("scalar", "channel")

    @property
    def identity(self) -> bool:
        """Whether it changes nothing."""
        return not self.learned and self.value == 1.0


PLAIN = Gain()


def check_part(part: Part, where: str) -> None:
    """Refuse a part that is no group of channels.

    Raises:
        ArchitectureError: If it is not `0 <= part[0] < part[1]`.
    """
    index, count = part
    if not 0 <= index < count:
        raise ArchitectureError(
            f"{where} carries part {index} of {count}; parts are numbered 0 to {count - 1}.",
            fix="Write (0, 1) for all channels, (0, 2) and (1, 2) for the halves.",
        )


def check_count(name: str, value: int, where: str) -> None:
    """Refuse a width or a stride that is no whole number, or below 1.

    Raises:
        ArchitectureError: If it is.
    """
    if not hasattr(value, "__index__"):
        raise ArchitectureError(
            f"{where} has {name} {value!r}; a {name} is a whole number.",
            fix=f"Write {name}=1 or more.",
        )
    if value < 1:
        raise ArchitectureError(
            f"{where} has {name} {value}; a {name} is at least 1.", fix=f"The nearest is {name}=1."
        )


def check_kind(values: Sequence[object], kind: type) -> None:
    """Refuse whatever stands in the place of a node or an edge.

    Raises:
        ArchitectureError: If one of the values is of another kind.
    """
    for place, value in enumerate(values):
        if not isinstance(value, kind):
            name = kind.__name__
            raise ArchitectureError(
                f"Place {place} of the {name.lower()}s holds {str(value)[:80]}; that is no {name}.",
                fix=f"Write {name}(...).",
            )


@final
@dataclass(frozen=True)
class NodeRule:
    """What a pattern fixes about one of its nodes; the defaults leave it to the space.

    Args:
        operation: A fixed operation, such as a pooling or a gate; a space then has no choice.
        merge: Another merge than the topology's.
        width: Share of the stage's width, as a fraction; rounded down, at least 1 channel.
        stride: Factor by which the node lowers the resolution.
        tie: Nodes of one stage with the same tie share weights.
        own_norms: Whether a tied node keeps norms of its own.
        exit: Whether the node's output also feeds a head of its own.
    """

    operation: str | None = None
    merge: str | None = None
    width: tuple[int, int] = (1, 1)
    stride: int = 1
    tie: str | None = None
    own_norms: bool = False
    exit: bool = False


@final
@dataclass(frozen=True)
class Link:
    """What a pattern fixes about one of its edges: the fields of `Edge` beyond its ends."""

    transform: str = "auto"
    port: str = "default"
    part: Part = WHOLE
    gain: Gain = PLAIN
