"""Trainable numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.names import objective
from nas.units import Unit


@objective()
@final
@dataclass(frozen=True)
class Parameters(AbstractObjective):
    """Trainable numbers of the network, head and adapters included."""

    family: ClassVar[str] = "parameters"
    unit: ClassVar[Unit] = Unit.PARAMETERS
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        """Read the counted cost."""
        return self.answer(context.cost.parameters)
