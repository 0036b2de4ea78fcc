"""Made-up latencies that say where they were taken, for tests of measuring on workers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar, final

from nas.errors import TrialError
from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.names import objective
from nas.units import Unit

LARGE = 200_000
TRIED: list[int] = []
SMALLEST, LARGEST = 150_000, 280_000


@objective()
@final
@dataclass(frozen=True)
class PlacedLatency(AbstractObjective):
    """Tells the process, and the node of a cluster, that measured."""

    family: ClassVar[str] = "placed_latency"
    unit: ClassVar[Unit] = Unit.MILLISECONDS
    source: ClassVar[Source] = "measured"

    def measure(self, context: EvaluationContext) -> Measurement:
        details = {"process": os.getpid(), "node": _node(), "threads": context.latency.threads}
        return Measurement(context.cost.macs / 1e5, self.unit, self.source, 0.01, details)


@objective()
@final
@dataclass(frozen=True)
class DeadlyLatency(AbstractObjective):
    """Costs the process that measures a large network its device, each time."""

    family: ClassVar[str] = "deadly_latency"
    unit: ClassVar[Unit] = Unit.MILLISECONDS
    source: ClassVar[Source] = "measured"

    def measure(self, context: EvaluationContext) -> Measurement:
        if context.cost.macs > LARGE:
            TRIED.append(context.cost.macs)
            raise TrialError("The device is gone.", kind="died")
        return Measurement(context.cost.macs / 1e5, self.unit, self.source)


def _node() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id()) if ray.is_initialized() else "here"


@objective()
@final
@dataclass(frozen=True)
class Perilous(AbstractObjective):
    """Ends the process that evaluates a large network; a small one takes all memory."""

    family: ClassVar[str] = "perilous"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        if context.cost.macs > LARGEST:
            os.abort()
        if context.cost.macs < SMALLEST:
            bytearray(2**40)
        return self.answer(context.cost.macs / 1e6)
