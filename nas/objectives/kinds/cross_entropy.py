"""Cross-entropy with inherited weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from nas.objectives.base import InheritedScore, Source
from nas.objectives.inherited import AbstractInherited
from nas.objectives.names import objective
from nas.units import Unit


@objective()
@final
@dataclass(frozen=True)
class CrossEntropy(AbstractInherited):
    """Mean cross-entropy of a member with inherited weights on the validation part, in nats.

    It ranks better than the error where the error saturates: it still tells apart two networks
    that make the same few mistakes. `cross_entropy[ort,int8]` is that of the stand-alone network as
    a runtime executes it.
    """

    family: ClassVar[str] = "cross_entropy"
    unit: ClassVar[Unit] = Unit.NATS
    source: ClassVar[Source] = "inherited"

    @staticmethod
    def read(score: InheritedScore) -> float:
        """Return the mean in nats."""
        return score.cross_entropy
