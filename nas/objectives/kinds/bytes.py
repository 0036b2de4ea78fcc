"""Memory traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.names import objective
from nas.units import Unit


@objective()
@final
@dataclass(frozen=True)
class Bytes(AbstractObjective):
    """Bytes moved on one image in float32: each tensor written once and read once per reader."""

    family: ClassVar[str] = "bytes"
    unit: ClassVar[Unit] = Unit.BYTES
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        """Read the counted cost."""
        return self.answer(context.cost.bytes)
