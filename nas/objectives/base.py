"""What an objective is, what it is told, and what it answers.

Every objective is minimised. It declares how its number comes about (`source`), from which the
driver learns what to prepare: `inherited` numbers need the supernet's weights, and `measured` ones
need the device to themselves, so the driver takes them after a batch of evaluations, one by one.
Everything expensive in the context is lazy: counting parameters never builds a network.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, final

from nas.cost.count import Cost, cost
from nas.errors import ConfigError, TrialError
from nas.objectives.deployment import FLOAT32, Deployment
from nas.objectives.latency_config import Dtype, LatencyConfig
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.units import Unit

if TYPE_CHECKING:
    from torch import nn

    from nas.objectives.latency import LatencyMeter

Source = Literal["inherited", "measured", "computed", "predicted"]


class InheritedScore(Protocol):
    """Score of a subnet with the supernet's weights on the validation part."""

    @property
    def error(self) -> float:
        """Fraction of images classified wrongly."""

    @property
    def cross_entropy(self) -> float:
        """Mean cross-entropy in nats."""


class ShippedScore(InheritedScore, Protocol):
    """Score of the stand-alone network with the same weights, as a runtime executes it."""

    @property
    def details(self) -> Mapping[str, Any]:
        """What is known of how far it may be off, as plain data: `count` of images and `noise`."""


@final
@dataclass(frozen=True)
class Measurement:
    """One objective's number for one architecture.

    Args:
        value: The number; always finite, smaller is better.
        unit: Unit of `value` and `iqr`.
        source: How it came about.
        iqr: Interquartile range of what `value` is the median of; None for a single number.
        details: Further facts as plain data, for the record.
    """

    value: float
    unit: Unit
    source: Source
    iqr: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return what a front shows: value, unit, iqr and source."""
        return {"value": self.value, "unit": self.unit, "iqr": self.iqr, "source": self.source}


@final
@dataclass(frozen=True)
class EvaluationContext:
    """What an objective may look at; each property is computed at its first use.

    Args:
        architecture: The network to judge.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of the classifier.
        score: Scores the subnet with inherited weights; None where there is no supernet.
        build: Builds the stand-alone network in eval mode, batch norm folded; by default
            `nas.model` does.
        device: Torch device to measure on.
        threads: Threads of everything but latency, whose number is in `latency`.
        latency: How to measure latency.
        meter: Measures latency; by default one per process, device, input shape and settings, so
            that all architectures are compared with one reference.
        deployment: Number formats that the network ships in, where an objective leaves them open.
        score_shipped: Scores the stand-alone network with inherited weights as a runtime executes
            it in given number formats; None where there is no supernet.
    """

    architecture: Architecture
    input_shape: Shape
    num_classes: int
    score: Callable[[], InheritedScore] | None = None
    build: Callable[[], nn.Module] | None = None
    device: str = "cpu"
    threads: int = 1
    latency: LatencyConfig = field(default_factory=LatencyConfig)
    meter: Callable[[LatencyConfig, Shape, str], LatencyMeter] | None = None
    deployment: Deployment = FLOAT32
    score_shipped: Callable[[str, Deployment], ShippedScore] | None = None

    @cached_property
    def cost(self) -> Cost:
        """Counted cost of the network."""
        return cost(self.architecture, self.input_shape, self.num_classes)

    @cached_property
    def network(self) -> nn.Module:
        """The stand-alone network that ships: eval mode, batch norm folded."""
        if self.build is not None:
            return self.build()
        from nas.objectives.standalone import build_standalone

        return build_standalone(self.architecture, self.input_shape, self.num_classes)

    @cached_property
    def inherited(self) -> InheritedScore:
        """Score with inherited weights; error and cross-entropy share one evaluation.

        Raises:
            ConfigError: If there is no supernet to inherit from.
        """
        if self.score is None:
            raise _no_supernet()
        return self.score()

    @cached_property
    def _shipped(self) -> dict[tuple[str, Deployment], ShippedScore]:
        return {}

    def shipped(self, runtime: str, deployment: Deployment) -> ShippedScore:
        """Return the score of the stand-alone network with inherited weights in a runtime.

        Error and cross-entropy share one evaluation per runtime and number formats.

        Raises:
            ConfigError: If there is no supernet to inherit from.
        """
        if self.score_shipped is None:
            raise _no_supernet()
        key = (runtime, deployment)
        if key not in self._shipped:
            self._shipped[key] = self.score_shipped(runtime, deployment)
        return self._shipped[key]


def _no_supernet() -> ConfigError:
    return ConfigError(
        "This objective reads inherited weights, and there is no supernet here.",
        why="Error and cross-entropy are those of the subnet inside a trained supernet.",
        fix="Search with a supernet, or ask for computed and measured objectives only.",
    )


@dataclass(frozen=True)
class AbstractObjective(abc.ABC):
    """A number to minimise; subclasses are final, frozen and registered with `@objective()`.

    Class attributes:
        family: Name under which it is registered.
        unit: Unit of its values, one of the closed set of `nas.units`.
        source: How its numbers come about.
        deterministic: Whether the same architecture and weights give the same number every time.
        aliases: Further names it answers to.
        largest: Largest possible value, if there is one.
        direction: Always `minimise`.
    """

    family: ClassVar[str]
    unit: ClassVar[Unit]
    source: ClassVar[Source]
    deterministic: ClassVar[bool] = True
    aliases: ClassVar[tuple[str, ...]] = ()
    largest: ClassVar[float | None] = None
    direction: ClassVar[Literal["minimise"]] = "minimise"

    @property
    def name(self) -> str:
        """Name in records and fronts; it includes everything the number depends on."""
        return self.family

    @property
    def needs_weights(self) -> bool:
        """Whether it reads a trained supernet's weights."""
        return self.source == "inherited"

    @property
    def needs_quiet_device(self) -> bool:
        """Whether it is measured, so that nothing else may run on the device meanwhile."""
        return self.source == "measured"

    def check_here(  # noqa: B027 - most can
        self, latency: LatencyConfig, device: str, policies: Sequence[Dtype] = ("fp32",)
    ) -> None:
        """Find out before any work whether its numbers can be had here.

        Args:
            latency: How a search measures.
            device: Torch device.
            policies: Number formats that may be decided for a member.

        Raises:
            NasError: If a device, package or tool is not there.
        """

    @classmethod
    def qualified(cls, qualifiers: tuple[str, ...]) -> Self:
        """Return the objective for the words in brackets behind the name.

        Raises:
            ConfigError: If it takes none, or not these.
        """
        if qualifiers:
            raise ConfigError(
                f"The objective '{cls.family}' takes nothing in brackets; "
                f"got [{','.join(qualifiers)}].",
                fix=f"Write '{cls.family}'.",
            )
        return cls()

    @abc.abstractmethod
    def measure(self, context: EvaluationContext) -> Measurement:
        """Return the number, finite or not."""

    @final
    def evaluate(self, context: EvaluationContext) -> Measurement:
        """Return the number.

        Raises:
            TrialError: Of kind `nonfinite`, if it is NaN or infinite; `crash`, if what the
                objective gave is no measurement of a number.
        """
        measurement = self._measured(context)
        if not math.isfinite(measurement.value):
            raise TrialError(
                f"The objective '{self.name}' is {measurement.value}; it must be finite.",
                kind="nonfinite",
                why="A network that diverged has no score to compare.",
                fix="The trial counts as failed and the search goes on.",
            )
        return measurement

    def _measured(self, context: EvaluationContext) -> Measurement:
        """Return what `measure` gives, its value one of Python's own numbers."""
        found: Any = self.measure(context)
        value: Any = found.value if isinstance(found, Measurement) else found
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if isinstance(found, Measurement) and is_number:
            return replace(found, value=float(value))
        raise TrialError(
            f"The objective '{self.name}' gave {str(value)[:60]!r}, which is no measurement of a "
            "number.",
            fix="Return self.answer(number) from measure.",
        )

    def answer(self, value: float) -> Measurement:
        """Return `value` in this objective's unit and source."""
        return Measurement(float(value), self.unit, self.source)
