"""What a worker does that measures for a driver on another machine.

It is made once, on the device that the run measures on or not at all, and keeps its meters. Its
machine's own lock makes the user's trainings there pause meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, final

from nas.errors import RunError
from nas.objectives.base import EvaluationContext
from nas.objectives.deployment import Deployment
from nas.objectives.device_fingerprint import device_fingerprint
from nas.search.checks.device_check import times_differ
from nas.search.executors.base import Task
from nas.search.measuring.references import Meters, References
from nas.search.quantisation import check_measured_here
from nas.search.settings.goals import Goals
from nas.search.tasks import read_config
from nas.topology.serial import load_architecture

MEASURE: Final = "nas.search.measuring.task:measuring_task"


def measuring_task(arguments: dict[str, Any]) -> Task:
    """Return the task that measures networks on this machine.

    Args:
        arguments: `config`, `input_shape`, `num_classes`, `device` (as a config names one),
            `resource` (what its nodes are called), and `target`: the fingerprint of the device that
            the run measures on, None if it is to be this one.

    Raises:
        RunError: If this device is not that one.
        EnvironmentFault: If the device or a runtime is not there.
    """
    return _Measuring(arguments)


@final
class _Measuring:
    def __init__(self, arguments: Mapping[str, Any]) -> None:
        from nas.training.device import resolve_device

        self.config = read_config(arguments)
        self.device = str(resolve_device(str(arguments["device"])))
        self.objectives = {each.name: each for each in Goals.of(self.config).measured}
        self.fingerprint = device_fingerprint(self.device, self.config.latency.threads)
        channels, height, width = arguments["input_shape"]
        self.input_shape = (int(channels), int(height), int(width))
        self.num_classes = int(arguments["num_classes"])
        self.meters = Meters(References())
        self._check(arguments["target"], str(arguments["resource"]))

    def __call__(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Do what the payload's `what` says: `tell` the device, `measure`, or `time_nodes`."""
        if payload["what"] == "tell":
            found = self.fingerprint
            return {"device": self.device, "fingerprint": found.to_dict(), "digest": found.digest}
        return self._measure(payload) if payload["what"] == "measure" else self._nodes(payload)

    def _measure(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Measure the `architecture` for the named `objectives`, shipped as `deployment` says."""
        shipped = payload["deployment"]
        self.meters.references = References.of_dict(payload["references"])
        context = EvaluationContext(
            load_architecture(payload["architecture"]),
            self.input_shape,
            self.num_classes,
            device=self.device,
            threads=self.config.search.threads_per_evaluation,
            latency=self.config.latency,
            meter=self.meters,
            deployment=Deployment(shipped["dtype"], frozenset(shipped["float_stages"])),
        )
        found = {name: self.objectives[name].evaluate(context) for name in payload["objectives"]}
        return {
            "values": {name: each.to_dict() for name, each in found.items()},
            "details": {name: dict(each.details) for name, each in found.items()},
        }

    def _nodes(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        from nas.objectives.node_latency import node_latencies

        found = node_latencies(
            load_architecture(payload["architecture"]),
            self.input_shape,
            self.num_classes,
            threads=self.config.latency.threads,
            device=self.device,
        )
        return {"nodes": found.nodes, "whole_ms": found.whole_ms, "passes": found.passes}

    def _check(self, target: Mapping[str, Any] | None, resource: str) -> None:
        check_measured_here(self.config, self.device)
        if target is None:
            return
        changed = times_differ(target, self.fingerprint.to_dict(), self.objectives.values())
        if changed:
            raise RunError(
                f"The run measured on another device than this worker's: {'; '.join(changed)}.",
                where=f"a node with the resource '{resource}': {self.fingerprint}",
                why=f"Its {', '.join(self.objectives)} would be compared with times of this "
                "device; mixing both is no search.",
                fix=f"Give '{resource}' only to nodes with the device that the run began on, or "
                "start a new run.",
            )
