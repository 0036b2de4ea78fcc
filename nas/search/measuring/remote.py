"""The device on which a run's latencies are measured, where that is a node of a cluster.

The first worker on a node with the resource that `executor.measure_on` names says which device it
has. That is a record of the run, and from then on no other device measures for it. One network is
measured at a time, in the place of what the driver measures else: after a batch, alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, final

from nas.errors import ClusterError, ConfigError, NasError, TrialError
from nas.objectives.base import AbstractObjective, Measurement
from nas.objectives.deployment import Deployment
from nas.objectives.node_latency import NodeLatencies
from nas.search.checks.device_check import warn_of_conditions
from nas.search.executors import Job, Outcome, Setup
from nas.search.executors.retries import run_retrying
from nas.search.measuring.measured_on import MEASURING_DEVICE, measuring_device
from nas.search.measuring.prediction import HERE, Forecast, Profiles
from nas.search.measuring.references import References
from nas.search.measuring.task import MEASURE
from nas.search.session import Session, Stopped
from nas.search.settings.config import SearchConfig
from nas.topology.graph import Architecture
from nas.topology.serial import dump_architecture

SHARE: Final = 0.001
"""Of the resource that a worker takes: the device lock, not a count, keeps two from measuring at
once, and other runs may wait there too."""

GPU_SHARE: Final = 0.01
"""Of a GPU, likewise; workers that are to use the same one ask for less than all of it."""

_log = logging.getLogger("nas")


def check_measure_on(config: SearchConfig, executor: str) -> None:
    """Refuse to measure on the nodes of a cluster without one.

    Raises:
        ConfigError: If the executor has no nodes.
    """
    resource = config.executor.measure_on
    if resource is not None and executor != "ray":
        raise ConfigError(
            f"Latencies are to be measured on a node with the resource '{resource}', and the "
            f"executor '{executor}' has no nodes.",
            where="executor.measure_on",
            fix="Use --executor ray on a cluster that has it, or measure here: leave "
            "'executor.measure_on' out.",
        )


@final
class RemoteDevice:
    """Measures networks for one session on a node of its cluster.

    Args:
        session: The session; its config says where.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._setup: Setup | None = None
        self._references: References | None = None

    def open(self) -> None:
        """Find the device; the first time, write down which it is.

        Raises:
            RunError: If it is not the one that the run measures on.
            ConfigError: If a profile that steers is of another device.
            ClusterError: If there is no node with the resource, or the cluster is gone.
        """
        if self._setup is not None:
            return
        known = measuring_device(self.session.run)
        setup = self._setup_for(None if known is None else known["fingerprint"])
        found = dict(self._ask(setup, {"what": "tell"}))
        device = found.pop("device")
        profiles = Profiles.of_run(self.session.run)
        if HERE in profiles.by_column:
            profiles.check_device(found["fingerprint"])
        if known is None:
            resource = self.session.config.executor.measure_on
            self.session.run.append({"kind": MEASURING_DEVICE, "resource": resource, **found})
            _log.info("latencies are measured on %s", found["fingerprint"]["processor"])
        else:
            warn_of_conditions(self.session.run.name, known["fingerprint"], found["fingerprint"])
        # From here on exactly this device: a node that takes its place must be equal to it.
        arguments = {**setup.arguments, "device": device, "target": found["fingerprint"]}
        self._setup = replace(setup, arguments=arguments, fingerprint=str(found["digest"]))

    def measure(
        self,
        objectives: Sequence[AbstractObjective],
        architecture: Architecture,
        deployment: Deployment,
    ) -> dict[str, Measurement]:
        """Measure a network.

        Raises:
            TrialError: If that failed, with its reason.
            ClusterError: If no worker can measure.
            Stopped: If it is time to stop.
        """
        if not objectives:
            return {}
        found = self._work(
            {
                "what": "measure",
                "architecture": dump_architecture(architecture),
                "objectives": [each.name for each in objectives],
                "deployment": {
                    "dtype": deployment.dtype,
                    "float_stages": sorted(deployment.float_stages),
                },
            }
        )
        for details in found["details"].values():
            self._known().note(details)
        return {
            each.name: Measurement(
                float(found["values"][each.name]["value"]),
                each.unit,
                found["values"][each.name]["source"],
                found["values"][each.name]["iqr"],
                found["details"][each.name],
            )
            for each in objectives
        }

    def time_nodes(self, architecture: Architecture) -> NodeLatencies:
        """Time the nodes of a network, as `node_latencies` does here."""
        found = self._work({"what": "time_nodes", "architecture": dump_architecture(architecture)})
        return NodeLatencies(found["nodes"], found["whole_ms"], found["passes"])

    def _work(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        self.open()
        assert self._setup is not None
        try:
            return self._ask(self._setup, {**payload, "references": self._known().to_dict()})
        except (TrialError, ClusterError):
            raise
        except NasError as fault:
            # It speaks of the workers, not of the network that was to be measured.
            raise ClusterError(
                f"There is no worker to measure on any more: {fault.what}",
                where=fault.where,
                why=fault.why,
                fix=fault.fix,
            ) from fault

    def _ask(self, setup: Setup, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run one job, once more if its worker did not survive."""
        told: list[Outcome] = []
        executor = self.session.executor(setup)
        if not run_retrying(executor, [Job("measure", payload)], told.append, self.session.stopper):
            raise Stopped
        (outcome,) = told
        if outcome.result is None:
            lost = outcome.reason in ("died", "lost")  # it was tried often enough
            raise TrialError(
                f"Measuring failed: {outcome.message}",
                kind="crash" if lost else outcome.reason or "crash",
            )
        return outcome.result

    def _known(self) -> References:
        if self._references is None:
            profile = Forecast(self.session).profile
            self._references = References.of_run(self.session.run, profile)
        return self._references

    def _setup_for(self, target: Mapping[str, Any] | None) -> Setup:
        session, data = self.session, self.session.material.data
        return Setup(
            MEASURE,
            {
                "config": dict(session.run.config),
                "input_shape": list(data.input_shape),
                "num_classes": data.num_classes,
                "device": session.config.device,
                "target": target,
                "resource": session.config.executor.measure_on,
            },
            threads=session.config.latency.threads,
            timeout_s=session.config.search.trial_timeout_s,
            gpus=GPU_SHARE if _wants_gpu(session.config) else 0.0,
            resources={str(session.config.executor.measure_on): SHARE},
            alone=True,
        )


def _wants_gpu(config: SearchConfig) -> bool:
    """Tell whether the worker has to see a GPU, which Ray hides from those that ask for none."""
    return config.device.startswith("cuda") or (
        config.device == "auto" and config.executor.gpus_per_worker > 0
    )
