"""The toy objective as a plugin of this engine: a made-up number after a fixed time."""

from __future__ import annotations

import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.names import objective
from nas.topology.identity import structural_id
from nas.units import Unit
from reliability_sides.base import EVALUATED, TRIAL_S, note

FOLDER = "RELIABILITY_FOLDER"
"""Environment variable: where evaluations are noted."""


@objective()
@final
@dataclass(frozen=True)
class ToyError(AbstractObjective):
    """A made-up error, after 16 milliseconds."""

    family: ClassVar[str] = "toy_error"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        """Wait, and return a number that depends on the network alone."""
        identity = structural_id(context.architecture)
        time.sleep(TRIAL_S)
        note(Path(os.environ[FOLDER]), EVALUATED, identity)
        return self.answer(zlib.crc32(identity.encode()) % 1000 / 1000)
