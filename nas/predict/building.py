"""Builds a profile: measures what is planned, one network after the other, and can be killed.

The meter is given, so that tests time nothing. Networks are measured through its public `measure`
alone, whatever runtime it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, final

from torch import nn

from nas.errors import ConfigError
from nas.objectives.device_fingerprint import DeviceFingerprint
from nas.objectives.kinds.latency import Latency
from nas.objectives.latency import LatencyReading
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.standalone import build_standalone
from nas.predict.measured_lines import MeasuredLines, earlier_reference
from nas.predict.probes import Planned, planned_networks
from nas.predict.profile import (
    MAXIMUM_MEASUREMENTS,
    SCHEMA,
    Device,
    LatencyProfile,
    Measurement,
    OtherDevice,
    SpaceName,
)
from nas.space.base import AbstractSpace
from nas.topology.identity import executed_id
from nas.topology.layers import Shape
from nas.topology.serial import dump_architecture

Progress = Callable[[int, int, str], None]
"""Told how many measurements of how many are done, and what the last one was."""


class Meter(Protocol):
    """What a profile needs of `nas.objectives.latency.LatencyMeter`."""

    @property
    def reference_ms(self) -> float:
        """The reference network's own time."""

    @property
    def fingerprint(self) -> DeviceFingerprint:
        """The device that is measured."""

    def measure(self, network: nn.Module) -> LatencyReading:
        """Measure one network."""


OpenMeter = Callable[[LatencyConfig, Shape, float | None], Meter]
"""Opens a meter; the number is the reference's own time, None to establish it."""


@final
@dataclass(frozen=True)
class ProfileRequest:
    """What to build.

    Args:
        space: Its members will be predicted.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of the classifier.
        settings: Runtime, batch, threads and budget of a measurement.
        samples: Random members to measure beside the pieces.
        seed: Of the members.
        others: Other devices to learn the first guess from.
    """

    space: AbstractSpace
    input_shape: Shape
    num_classes: int
    settings: LatencyConfig
    samples: int
    seed: int = 0
    others: tuple[OtherDevice, ...] = ()

    @property
    def objective(self) -> str:
        """Full name of the latency."""
        return Latency(self.settings.runtime, self.settings.batch, self.settings.dtype).name

    def planned(self) -> list[Planned]:
        """Return the networks to measure, in order.

        Raises:
            ConfigError: If there are too few members, or more networks than a profile holds.
            ArchitectureError: If a member cannot be computed at this shape.
        """
        check_number(self.samples)
        found = planned_networks(
            self.space, self.input_shape, self.num_classes, self.samples, self.seed
        )
        check_number(len(found))
        return found


def check_number(networks: int) -> None:
    """Refuse to plan more networks than a profile holds.

    Raises:
        ConfigError: Then.
    """
    if networks > MAXIMUM_MEASUREMENTS:
        raise ConfigError(
            f"{networks} networks are too many: a profile holds {MAXIMUM_MEASUREMENTS}, the pieces "
            "of the space among them.",
            why="A fit takes time with the third power of them.",
            fix="Lower --samples; 150 are plenty.",
        )


def build_profile(
    request: ProfileRequest, path: Path, open_meter: OpenMeter, progress: Progress
) -> LatencyProfile:
    """Measure a space on this device and write its profile.

    Measurements that an earlier, killed build left beside `path` are taken over.

    Args:
        request: What to build.
        path: Where the profile goes.
        open_meter: Opens the meter of the device.
        progress: Told after each measurement.

    Raises:
        ConfigError: If `path` is taken, or what lies beside it belongs to another build.
        EnvironmentFault: If the device or the folder fails.
    """
    if path.exists():
        raise ConfigError(
            f"{path} exists already.", fix="Choose another name with -o, or remove it first."
        )
    planned = request.planned()
    meter = open_meter(request.settings, request.input_shape, earlier_reference(path))
    lines = MeasuredLines(path, _header(request, meter))
    try:
        _measure_all(request, planned, lines, meter, progress)
    finally:
        lines.close()
    profile = _profile(request, planned, lines, meter)
    profile.save(path)
    lines.remove()
    return profile


def _header(request: ProfileRequest, meter: Meter) -> dict[str, Any]:
    """Return what tells one build from another."""
    return {
        "schema": "nas.latency-profile-partial/1",
        "objective": request.objective,
        "space": request.space.fingerprint,
        "input_shape": list(request.input_shape),
        "num_classes": request.num_classes,
        "samples": request.samples,
        "seed": request.seed,
        "settings": request.settings.model_dump(mode="json"),
        "device": meter.fingerprint.digest,
        "reference_ms": meter.reference_ms,
    }


def read_measurement(
    meter: Meter, planned: Planned, input_shape: Shape, num_classes: int
) -> Measurement:
    """Measure one network.

    Raises:
        EnvironmentFault: If the device is not there.
    """
    network = build_standalone(planned.architecture, input_shape, num_classes)
    reading = meter.measure(network)
    error = reading.relative_error if math.isfinite(reading.relative_error) else 1.0
    return Measurement(
        kind=planned.kind,
        label=planned.label,
        architecture=dump_architecture(planned.architecture),
        ratio=reading.ratio,
        relative_error=min(error, 1.0),
        unstable=reading.unstable,
        busy=reading.busy,
    )


def _measure_all(
    request: ProfileRequest,
    planned: Sequence[Planned],
    lines: MeasuredLines,
    meter: Meter,
    progress: Progress,
) -> None:
    for done, entry in enumerate(planned, start=1):
        identity = executed_id(entry.architecture)
        if identity not in lines.found:
            lines.add(
                identity,
                read_measurement(meter, entry, request.input_shape, request.num_classes),
            )
        progress(done, len(planned), entry.label)


def _profile(
    request: ProfileRequest, planned: Sequence[Planned], lines: MeasuredLines, meter: Meter
) -> LatencyProfile:
    measured: Mapping[str, Measurement] = lines.found
    fingerprint = meter.fingerprint
    return LatencyProfile(
        schema_name=SCHEMA,
        objective=request.objective,
        space=SpaceName(name=request.space.name, fingerprint=request.space.fingerprint),
        input_shape=request.input_shape,
        num_classes=request.num_classes,
        device=Device(digest=fingerprint.digest, facts=dict(fingerprint.to_dict())),
        settings=request.settings,
        seed=request.seed,
        built=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        reference_ms=meter.reference_ms,
        measurements=tuple(measured[executed_id(entry.architecture)] for entry in planned),
        others=request.others,
    )
