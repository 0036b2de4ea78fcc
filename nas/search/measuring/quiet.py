"""Measuring alone: what is timed between batches, here or on a node of a cluster.

Stages ask for numbers and do not know where they come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, final

from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement
from nas.objectives.deployment import FLOAT32, Deployment
from nas.objectives.node_latency import NodeLatencies, node_latencies
from nas.search.measuring.prediction import Forecast
from nas.search.measuring.references import Meters, References
from nas.search.session import Session
from nas.topology.graph import Architecture


@final
class QuietDevice:
    """Measures networks for one session; nothing else of the search may run meanwhile.

    Args:
        session: The session.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    @cached_property
    def forecast(self) -> Forecast:
        """Predicts what is not measured."""
        return Forecast(self.session)

    @cached_property
    def _meters(self) -> Meters:
        return Meters(References.of_run(self.session.run, self.forecast.profile))

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
        if self.session.remote is not None:
            return self.session.remote.measure(objectives, architecture, deployment)
        data = self.session.material.data
        context = EvaluationContext(
            architecture,
            data.input_shape,
            data.num_classes,
            device=str(self.session.device),
            threads=self.session.config.search.threads_per_evaluation,
            latency=self.session.config.latency,
            meter=self._meters,
            deployment=deployment,
        )
        return {each.name: each.evaluate(context) for each in objectives}

    def time_nodes(self, architecture: Architecture) -> NodeLatencies:
        """Time the nodes of a network where networks are measured."""
        if self.session.remote is not None:
            return self.session.remote.time_nodes(architecture)
        data = self.session.material.data
        return node_latencies(
            architecture,
            data.input_shape,
            data.num_classes,
            threads=self.session.config.latency.threads,
            device=str(self.session.device),
        )


def _as_record(found: Mapping[str, Measurement]) -> dict[str, Any]:
    return {
        "values": {name: each.to_dict() for name, each in found.items()},
        "measurements": {name: dict(each.details) for name, each in found.items()},
    }
