"""Classification error with inherited weights."""

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
class Error(AbstractInherited):
    """Fraction of validation images that a member with inherited weights classifies wrongly.

    `error` is that of the subnet in the supernet, `error[ort,int8]` that of the stand-alone network
    as a runtime executes it.
    """

    family: ClassVar[str] = "error"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "inherited"
    largest: ClassVar[float | None] = 1.0

    @staticmethod
    def read(score: InheritedScore) -> float:
        """Return the share of wrong answers."""
        return score.error
