"""Latency of the stand-alone network on this device."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final, get_args

from nas.errors import ConfigError
from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.latency_config import Dtype, LatencyConfig
from nas.objectives.names import objective
from nas.objectives.runtimes import RUNTIMES
from nas.registry import Paper
from nas.units import Unit

_BATCH = re.compile(r"b([1-9][0-9]{0,4})")
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
        dtype: Number format of weights and images.
    """

    runtime: str = "eager"
    batch: int = 1
    dtype: Dtype = "fp32"

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
        fields: dict[str, Any] = {}
        for word in qualifiers:
            field, value = _read(word)
            if field in fields:
                raise ConfigError(
                    f"[{','.join(qualifiers)}] names two values for {field}: "
                    f"{fields[field]} and {value}.",
                    fix=f"Keep one; the form is {_FORM}.",
                )
            fields[field] = value
        found = cls(**fields)
        RUNTIMES.get(found.runtime).check_dtype(found.dtype)
        return found

    def measure(self, context: EvaluationContext) -> Measurement:
        """Time the stand-alone network; nothing else may run on the device meanwhile."""
        from nas.objectives.latency import shared_meter  # torch, only where latency is measured

        config = self.settings(context.latency)
        meter = (context.meter or shared_meter)(config, context.input_shape, context.device)
        reading = meter.measure(context.network)
        return Measurement(
            reading.latency_ms, self.unit, self.source, reading.iqr_ms, reading.details()
        )

    def settings(self, config: LatencyConfig) -> LatencyConfig:
        """Return `config` with this objective's runtime, batch and number format."""
        own = {"runtime": self.runtime, "batch": self.batch, "dtype": self.dtype}
        return config.model_copy(update=own)


def _read(word: str) -> tuple[str, str | int]:
    if word in RUNTIMES:
        return "runtime", word
    if word in get_args(Dtype):
        return "dtype", word
    batch = _BATCH.fullmatch(word)
    if batch and int(batch[1]) <= 65_536:
        return "batch", int(batch[1])
    raise ConfigError(
        f"'{word}' is no runtime, batch or number format of a latency.",
        fix=(
            f"The form is {_FORM}; runtimes: {', '.join(RUNTIMES)}; batches: b1 to "
            f"b65536; number formats: {', '.join(get_args(Dtype))}."
        ),
    )
