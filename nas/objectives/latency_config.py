"""Settings of a latency measurement; a run keeps them, because a latency is worth no more."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from nas.errors import ConfigError

Dtype = Literal["fp32", "bf16", "fp16", "int8", "int8-dynamic"]
"""Number formats. `int8`: weights and activations, whose ranges were measured on calibration
images. `int8-dynamic`: weights ahead, activations of matrix products in every call."""


class LatencyConfig(BaseModel, frozen=True, extra="forbid"):
    """How latency is measured: single calls, paired with a fixed reference network."""

    runtime: str = "eager"
    """What executes the network: `eager`, `compile`, `ort` (ONNX Runtime) or `cudagraph`."""

    batch: Annotated[int, Field(ge=1, le=65_536)] = 1
    """Images in one call."""

    dtype: Dtype = "fp32"
    """Number format of weights and images; a runtime has its own few."""

    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """Threads of one forward pass, fixed while measuring."""

    pairs: Annotated[int, Field(ge=4, le=1_000_000)] = 1000
    """Most pairs of one call of the network and one of the reference."""

    minimum_pairs: Annotated[int, Field(ge=4, le=1_000_000)] = 40
    """Pairs below which neither precision nor time ends a measurement."""

    max_seconds: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 0.25
    """Time after which a measurement ends once it has `minimum_pairs`, in seconds. At 8 times
    this it ends with whatever it has."""

    target_relative_error: Annotated[float, Field(gt=0, le=0.5, allow_inf_nan=False)] = 0.001
    """Standard error of the latency, relative to it, below which a measurement ends early."""

    unstable_above: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.02
    """Relative standard error above which the result is flagged as unstable."""

    reject_above: Annotated[float, Field(gt=1, le=100, allow_inf_nan=False)] = 1.5
    """Calls that take this many times their running median show load from elsewhere; their round
    is dropped and counted."""

    warm_up: Annotated[int, Field(ge=0, le=100_000)] = 10
    """Untimed calls of either network before the first timed one."""

    retries: Annotated[int, Field(ge=0, le=1000)] = 2
    """Times an unstable measurement, or one beside other work that then ended, is repeated, each
    time with twice the time; the best counts, and is flagged if that is no good either."""

    wait_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 10.0
    """Longest wait for other work on the device to end, in seconds; then latency is measured
    anyway and flagged as busy. A wait in vain is not repeated before the device was quiet."""

    @field_validator("runtime")
    @classmethod
    def _check_runtime(cls, name: str) -> str:
        from nas.objectives.runtimes import RUNTIMES

        if name not in RUNTIMES:
            unknown = RUNTIMES.unknown(name)
            raise ConfigError(unknown.what, fix=unknown.fix)
        return name

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if self.minimum_pairs > self.pairs:
            raise ConfigError(
                f"minimum_pairs is {self.minimum_pairs} and pairs is {self.pairs}; "
                "the minimum cannot exceed the most.",
                fix="Raise pairs or lower minimum_pairs.",
            )
        return self
