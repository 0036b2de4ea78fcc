"""Depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.names import objective
from nas.units import Unit


@objective()
@final
@dataclass(frozen=True)
class Depth(AbstractObjective):
    """Operations with weights on the longest path from input to output."""

    family: ClassVar[str] = "depth"
    unit: ClassVar[Unit] = Unit.OPERATIONS
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        """Read the counted cost."""
        return self.answer(context.cost.depth)
