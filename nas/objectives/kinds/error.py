"""Classification error with inherited weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.names import objective
from nas.units import Unit


@objective()
@final
@dataclass(frozen=True)
class Error(AbstractObjective):
    """Fraction of validation images that the subnet with inherited weights classifies wrongly."""

    family: ClassVar[str] = "error"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "inherited"
    largest: ClassVar[float | None] = 1.0

    def measure(self, context: EvaluationContext) -> Measurement:
        """Read the shared evaluation."""
        return self.answer(context.inherited.error)
