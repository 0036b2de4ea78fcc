"""Measuring alone: what the driver times between batches, comparable across a resume.

A latency is a ratio to a reference network times that reference's own time. The reference's time is
part of the record, so an owner that goes on with a run takes it over instead of establishing
another one on a machine that may be busier today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement
from nas.objectives.deployment import FLOAT32, Deployment
from nas.objectives.kinds.latency import Latency
from nas.objectives.latency_config import LatencyConfig
from nas.search.prediction import Forecast
from nas.search.session import Session
from nas.topology.graph import Architecture
from nas.topology.layers import Shape

if TYPE_CHECKING:
    from nas.objectives.latency import LatencyMeter


@final
class QuietDevice:
    """Measures networks for one session; nothing else of the search may run meanwhile.

    Args:
        session: The session.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._meters: dict[tuple[LatencyConfig, Shape, str], LatencyMeter] = {}

    @cached_property
    def forecast(self) -> Forecast:
        """Predicts what is not measured."""
        return Forecast(self.session)

    def measure(
        self, architecture: Architecture, deployment: Deployment = FLOAT32
    ) -> dict[str, Any]:
        """Return `values` and `measurements` (how they came about), by objective.

        Latencies on other devices are predicted; everything else is measured.

        Args:
            architecture: The network.
            deployment: Its number formats, where an objective leaves them open.
        """
        found = self._measured(self.session.goals.measured, architecture, deployment)
        return _as_record({**found, **self.forecast.elsewhere(architecture)})

    def estimate(
        self, architecture: Architecture, deployment: Deployment = FLOAT32
    ) -> dict[str, Any]:
        """Return what a trial is told: as `measure`, but predicted where a profile steers."""
        if not self.forecast.steered:
            return self.measure(architecture, deployment)
        predicted = self.forecast.here(architecture)
        others = [each for each in self.session.goals.measured if each.name not in predicted]
        found = self._measured(others, architecture, deployment)
        return _as_record({**found, **predicted, **self.forecast.elsewhere(architecture)})

    def _measured(
        self,
        objectives: Sequence[AbstractObjective],
        architecture: Architecture,
        deployment: Deployment,
    ) -> dict[str, Measurement]:
        data = self.session.material.data
        context = EvaluationContext(
            architecture,
            data.input_shape,
            data.num_classes,
            device=str(self.session.device),
            threads=self.session.config.search.threads_per_evaluation,
            latency=self.session.config.latency,
            meter=self._meter,
            deployment=deployment,
        )
        return {each.name: each.evaluate(context) for each in objectives}

    def _meter(self, config: LatencyConfig, shape: Shape, device: str) -> LatencyMeter:
        from nas.objectives.latency import LatencyMeter

        key = (config, shape, device)
        if key not in self._meters:
            self._meters[key] = LatencyMeter(
                config, shape, device, reference_ms=self._known_reference(config, device)
            )
        return self._meters[key]

    def _known_reference(self, config: LatencyConfig, device: str) -> float | None:
        """Return the reference's time in the run's first measurement on exactly this device."""
        from nas.objectives.device_fingerprint import device_fingerprint

        here = device_fingerprint(device, config.threads).digest
        profile = self.forecast.profile
        if profile is not None and profile.objective == _name(config):
            # Ratios times one and the same time: what is measured and what was predicted compare.
            return profile.reference_ms
        wanted = {"device": here, **Latency.executed(config)}
        for trial in self.session.run.table().finished():
            for details in trial.extra.get("measurements", {}).values():
                if wanted.items() <= details.items() and details.get("reference_ms"):
                    return float(details["reference_ms"])
        return None


def _name(config: LatencyConfig) -> str:
    return Latency(config.runtime, config.batch, config.dtype).name


def _as_record(found: Mapping[str, Measurement]) -> dict[str, Any]:
    return {
        "values": {name: each.to_dict() for name, each in found.items()},
        "measurements": {name: dict(each.details) for name, each in found.items()},
    }
