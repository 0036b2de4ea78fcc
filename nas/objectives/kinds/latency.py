"""Latency of the stand-alone network on this device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, final

from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.deployment import FLOAT32, POLICY, Deployment
from nas.objectives.latency_config import Dtype, LatencyConfig
from nas.objectives.names import objective
from nas.objectives.qualifiers import check_formats, read_qualifiers
from nas.objectives.runtimes import RUNTIMES
from nas.registry import Paper
from nas.units import Unit

_FORM = "latency_ms[RUNTIME,bBATCH,DTYPE]"


@objective(Paper("Tan et al.", 2019, arxiv="1807.11626", title="MnasNet"))
@final
@dataclass(frozen=True)
class Latency(AbstractObjective):
    """Median wall-clock time of one forward pass of the network that ships, in milliseconds.

    Measured rather than estimated: operation counts are a poor proxy for latency. The runtime, the
    batch and the number format are part of the name, because numbers that differ in them must
    never be compared.

    Args:
        runtime: What executes the network.
        batch: Images in one call.
        dtype: Number format of weights and images, or `policy` for the one decided for the member.
    """

    runtime: str = "eager"
    batch: int = 1
    dtype: str = "fp32"

    family: ClassVar[str] = "latency"
    unit: ClassVar[Unit] = Unit.MILLISECONDS
    source: ClassVar[Source] = "measured"
    deterministic: ClassVar[bool] = False
    aliases: ClassVar[tuple[str, ...]] = ("latency_ms",)

    @property
    def name(self) -> str:
        """Return the full name, such as `latency_ms[eager,b1,fp32]`."""
        return f"latency_ms[{self.runtime},b{self.batch},{self.dtype}]"

    @classmethod
    def qualified(cls, qualifiers: tuple[str, ...]) -> Self:
        """Read runtime, batch and number format, in any order.

        Raises:
            ConfigError: If a word is none of them, two are of one kind, or the runtime does not
                execute the number format.
        """
        found = cls(**read_qualifiers(qualifiers, _FORM, batch=True))
        check_formats(found.runtime, found.dtype)
        return found

    def check_here(
        self, latency: LatencyConfig, device: str, policies: Sequence[Dtype] = ("fp32",)
    ) -> None:
        """Check the runtime."""
        for policy in policies if self.dtype == POLICY else policies[:1]:
            RUNTIMES.get(self.runtime).check(self.settings(latency, Deployment(policy)), device)

    def measure(self, context: EvaluationContext) -> Measurement:
        """Time the stand-alone network; nothing else may run on the device meanwhile."""
        from nas.objectives.latency import shared_meter  # torch, only where latency is measured

        deployment = context.deployment if self.dtype == POLICY else FLOAT32
        config = self.settings(context.latency, deployment)
        meter = (context.meter or shared_meter)(config, context.input_shape, context.device)
        reading = meter.measure(context.network, deployment.float_stages)
        details = {**self.executed(config), **reading.details()}
        return Measurement(reading.latency_ms, self.unit, self.source, reading.iqr_ms, details)

    @staticmethod
    def executed(config: LatencyConfig) -> dict[str, str | int]:
        """Return what the details of a latency say of how the network was executed."""
        return {"runtime": config.runtime, "batch": config.batch, "dtype": config.dtype}

    def settings(self, config: LatencyConfig, decided: Deployment = FLOAT32) -> LatencyConfig:
        """Return `config` with this objective's runtime, batch and number format.

        Args:
            config: Everything else.
            decided: For the member; read where the number format is `policy`.
        """
        dtype = decided.dtype if self.dtype == POLICY else self.dtype
        own = {"runtime": self.runtime, "batch": self.batch, "dtype": dtype}
        return config.model_copy(update=own)
