"""Multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.names import objective
from nas.units import Unit


@objective()
@final
@dataclass(frozen=True)
class Macs(AbstractObjective):
    """Multiply-adds of convolutions and matrix products on one image, adapters included."""

    family: ClassVar[str] = "macs"
    unit: ClassVar[Unit] = Unit.MACS
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        """Read the counted cost."""
        return self.answer(context.cost.macs)
