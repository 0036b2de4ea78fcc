"""A latency profile: what was measured on one device for one space, as a file that travels.

It holds measurements, never a fitted model: who opens it fits anew, so that a better model serves
old profiles too. Latencies are stored as ratios to the reference network, which is what a busy
machine leaves alone, beside the reference's own time, which turns them into milliseconds. Nothing
in a profile names a machine, and a profile of a stranger is only data: its architectures are parsed
by the same strict reader as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, final

from pydantic import BaseModel, Field, field_validator, model_validator

from nas.config_files import load_document, validate_document
from nas.errors import ConfigError, NasError
from nas.objectives.kinds.latency import Latency
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.names import resolve_objective
from nas.run_store.atomic import write_text
from nas.topology.layers import Shape
from nas.topology.serial import load_architecture

if TYPE_CHECKING:
    from nas.predict.latency_predictor import LatencyPredictor, MeasuredNetwork

SCHEMA: Final = "nas.latency-profile/1"
MAXIMUM_BYTES = 64_000_000
MAXIMUM_MEASUREMENTS = 2000
"""A fit takes time with the third power of them: minutes at this many."""

UNSTABLE_ERROR = 0.05
"""Relative error that a reading flagged as unstable counts with, at least."""

Side = Annotated[int, Field(ge=1, le=16_384)]
Positive = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


@final
class Measurement(BaseModel, frozen=True, extra="forbid"):
    """One network measured on the profile's device."""

    kind: Literal["piece", "member"]
    """`piece`: a small network around one operation, merge or adapter. `member`: a random whole
    member of the space."""

    label: Annotated[str, Field(max_length=300)]
    """What it is, for people."""

    architecture: dict[str, Any]
    """The network, as `nas.arch` files hold it."""

    ratio: Positive
    """Its latency over the reference network's, median of pairs."""

    relative_error: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
    """Standard error of the ratio, relative to it."""

    unstable: bool = False
    """Whether the reading stayed noisy in a second attempt as well."""

    busy: bool = False
    """Whether the device was busy with something else meanwhile."""

    def network(self, reference_ms: float) -> MeasuredNetwork:
        """Return it as something to learn from.

        Raises:
            ArchitectureError: If the architecture is malformed.
            TopologyError: If its edges are no connected acyclic graph.
        """
        from nas.predict.latency_predictor import MeasuredNetwork

        error = max(self.relative_error, UNSTABLE_ERROR) if self.unstable else self.relative_error
        return MeasuredNetwork(
            load_architecture(self.architecture),
            self.ratio * reference_ms,
            error,
            is_member=self.kind == "member",
        )


@final
class SpaceName(BaseModel, frozen=True, extra="forbid"):
    """The space whose members were measured."""

    name: Annotated[str, Field(max_length=200)]
    fingerprint: Annotated[str, Field(max_length=64)]
    """Of its declaration; spaces of one name may differ."""


@final
class Device(BaseModel, frozen=True, extra="forbid"):
    """The device and software, as `nas.objectives.device_fingerprint` describes them."""

    digest: Annotated[str, Field(max_length=64)]
    facts: dict[Annotated[str, Field(max_length=64)], int | float | bool | str | None]

    def differences(self, facts: Mapping[str, Any]) -> list[str]:
        """Return in which facts another device differs: `torch: 2.13.0, here 2.12.1`."""
        names = sorted({*self.facts, *facts})
        return [
            f"{name}: {self.facts.get(name, 'unknown')}, here {facts.get(name, 'unknown')}"
            for name in names
            if self.facts.get(name) != facts.get(name)
        ]


@final
class OtherDevice(BaseModel, frozen=True, extra="forbid"):
    """Measurements of another device, from which this one's first guess was learned."""

    device: Device
    objective: Annotated[str, Field(max_length=100)]
    reference_ms: Positive
    measurements: Annotated[tuple[Measurement, ...], Field(max_length=MAXIMUM_MEASUREMENTS)]


@final
class LatencyProfile(BaseModel, frozen=True, extra="forbid", populate_by_name=True):
    """Everything measured of a space on a device, and how."""

    schema_name: Literal["nas.latency-profile/1"] = Field(alias="schema")
    objective: Annotated[str, Field(max_length=100)]
    """Full name of what was measured, such as `latency_ms[eager,b1,fp32]`."""

    space: SpaceName
    input_shape: tuple[Side, Side, Side]
    """Channels, height and width of one image."""

    num_classes: Annotated[int, Field(ge=1, le=1_000_000)]
    device: Device
    settings: LatencyConfig
    """How it was measured."""

    seed: Annotated[int, Field(ge=0)]
    """Of the random members."""

    built: Annotated[str, Field(max_length=40)]
    """When it was finished, UTC."""

    reference_ms: Positive
    """The reference network's own time when the profile was built. Ratios hold at any time of day;
    milliseconds hold for a machine as quick as it was then."""

    measurements: Annotated[tuple[Measurement, ...], Field(max_length=MAXIMUM_MEASUREMENTS)]
    others: Annotated[tuple[OtherDevice, ...], Field(max_length=100)] = ()

    @field_validator("objective")
    @classmethod
    def _check_objective(cls, name: str) -> str:
        found = resolve_objective(name)
        if not isinstance(found, Latency) or found.name != name:
            raise ConfigError(
                f"'{name}' is no full name of a latency.",
                fix="A full name reads like latency_ms[eager,b1,fp32].",
            )
        return name

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        own = Latency(self.settings.runtime, self.settings.batch, self.settings.dtype).name
        if own != self.objective:
            raise ConfigError(
                f"The profile's objective is {self.objective}, but its settings measure {own}.",
                fix="Build the profile again: nas latency build",
            )
        return self

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a profile.

        Raises:
            NotFoundError: If there is no such file.
            ConfigError: If it is no JSON, too large, or no profile; also if one of its networks
                cannot be read.
        """
        document = load_document(path, maximum_bytes=MAXIMUM_BYTES)
        profile = validate_document(document, cls)
        profile.networks()
        return profile

    def save(self, path: Path) -> None:
        """Write the profile, whole or not at all.

        Raises:
            EnvironmentFault: If the disk is full or the folder cannot be written.
        """
        write_text(path, self.model_dump_json(by_alias=True, indent=1) + "\n")

    @property
    def fingerprint(self) -> str:
        """Digest of the device and software that were measured."""
        return self.device.digest

    def networks(self) -> list[MeasuredNetwork]:
        """Return what was measured, as something to learn from.

        Raises:
            ConfigError: If an architecture cannot be read.
        """
        return _networks(self.measurements, self.reference_ms, "measurements")

    def predictor(self) -> LatencyPredictor:
        """Return a predictor of this device, fitted when it is first asked.

        Raises:
            ConfigError: If an architecture cannot be read.
        """
        # Its fit takes a second of imports, which who only reads a profile is spared.
        from nas.predict.latency_predictor import LatencyPredictor

        others = [
            _networks(other.measurements, other.reference_ms, f"others.{index}.measurements")
            for index, other in enumerate(self.others)
        ]
        return LatencyPredictor(self.networks(), self.input_shape, self.num_classes, others=others)

    def as_other(self) -> OtherDevice:
        """Return what another device's profile keeps of this one."""
        return OtherDevice(
            device=self.device,
            objective=self.objective,
            reference_ms=self.reference_ms,
            measurements=self.measurements,
        )

    def misfits(
        self,
        *,
        space: str | None = None,
        input_shape: Shape | None = None,
        num_classes: int | None = None,
        objective: str | None = None,
    ) -> list[str]:
        """Return in what the profile differs from what it is to be used for, in words.

        Args:
            space: Fingerprint of the space, not its name.
            input_shape: `(channels, height, width)` of one image.
            num_classes: Outputs of the classifier.
            objective: Full name of the latency.
        """
        pairs = (
            ("space", self.space.fingerprint, space),
            (
                "input",
                "x".join(map(str, self.input_shape)),
                None if input_shape is None else "x".join(map(str, input_shape)),
            ),
            ("classes", self.num_classes, num_classes),
            ("objective", self.objective, objective),
        )
        return [
            f"{what}: the profile has {own}, wanted is {wanted}"
            for what, own, wanted in pairs
            if wanted is not None and own != wanted
        ]


def _networks(
    measurements: tuple[Measurement, ...], reference_ms: float, where: str
) -> list[MeasuredNetwork]:
    found = []
    for index, entry in enumerate(measurements):
        try:
            found.append(entry.network(reference_ms))
        except NasError as error:
            raise ConfigError(
                f"The network of measurement {index} cannot be read: {error.what}",
                where=f"{where}.{index}.architecture",
                why=error.why,
                fix=error.fix or "Build the profile again: nas latency build SPACE.",
            ) from None
    return found
