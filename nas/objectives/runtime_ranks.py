"""One network in several runtimes, and which of them is faster beyond the error of measuring.

Every runtime has a reference of its own (see `nas.objectives.runtimes.base`), so two runtimes are
compared by milliseconds, into which the error of both references' own times enters too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, final, get_args

from nas.errors import ConfigError, NasError
from nas.objectives.latency_config import Dtype, LatencyConfig
from nas.objectives.qualifiers import check_formats, read_qualifiers
from nas.objectives.runtimes import RUNTIMES
from nas.topology.layers import Shape

if TYPE_CHECKING:
    from torch import nn

    from nas.objectives.latency_reading import LatencyReading

REFERENCE_ERROR: Final = 0.01
"""Relative error of a reference's own time: its blocks end once they agree within this."""

MOST_PREPARATION_S: Final = 3.0
"""Runtimes that take longer per network have to be asked for."""

FORM: Final = "RUNTIME[,DTYPE]"


@final
@dataclass(frozen=True, order=True)
class Execution:
    """A runtime and a number format.

    Args:
        runtime: What executes the network.
        dtype: Number format.
    """

    runtime: str
    dtype: Dtype = "fp32"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `ort` or `ort,int8`.

        Raises:
            ConfigError: If a word is unknown, or the runtime does not execute the number format.
        """
        words = tuple(word.strip() for word in text.split(","))
        found = read_qualifiers(words, FORM, batch=False)
        if "runtime" not in found or found.get("dtype", "fp32") not in get_args(Dtype):
            raise ConfigError(
                f"'{text}' names no runtime and number format.",
                fix=f"Write {FORM}, such as 'ort' or 'ort,int8'; runtimes: {', '.join(RUNTIMES)}.",
            )
        check_formats(found["runtime"], found.get("dtype", "fp32"))
        return cls(**found)

    def settings(self, config: LatencyConfig) -> LatencyConfig:
        """Return `config` with this runtime and number format."""
        return config.model_copy(update={"runtime": self.runtime, "dtype": self.dtype})

    def __str__(self) -> str:
        return f"{self.runtime},{self.dtype}"


@final
@dataclass(frozen=True)
class Ranked:
    """What a network takes in one runtime, and its place among the runtimes.

    Args:
        execution: Runtime and number format.
        reading: What was measured.
        rank: 1 for the fastest; runtimes that cannot be told from the fastest of their rank share
            it.
    """

    execution: Execution
    reading: LatencyReading
    rank: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        reading = self.reading
        return {
            "runtime": self.execution.runtime,
            "dtype": self.execution.dtype,
            "rank": self.rank,
            "latency_ms": reading.latency_ms,
            "iqr_ms": reading.iqr_ms,
            "flags": list(reading.flags),
            **reading.details(),
        }


def executions_here(
    config: LatencyConfig, device: str, on_missing: Callable[[str, NasError], None]
) -> list[Execution]:
    """Return what can be had on a device without seconds of preparation per network.

    Args:
        config: Threads and batch.
        device: Torch device.
        on_missing: Told which runtime cannot be had, and why.
    """
    found = []
    for name in RUNTIMES:
        runtime = RUNTIMES.get(name)
        slow = runtime.typical_preparation_s > MOST_PREPARATION_S
        if slow or device.partition(":")[0] not in runtime.devices:
            continue
        for dtype in ("fp32", "int8"):
            if dtype not in runtime.dtypes:
                continue
            one = Execution(name, dtype)
            try:
                runtime.check(one.settings(config), device)
            except NasError as error:
                on_missing(str(one), error)
                continue
            found.append(one)
    return found


def compare_runtimes(
    network: nn.Module,
    input_shape: Shape,
    executions: Sequence[Execution],
    config: LatencyConfig,
    device: str = "cpu",
    on_reading: Callable[[Execution, LatencyReading], None] | None = None,
    bytes_moved: int | None = None,
) -> list[Ranked]:
    """Measure a network in several runtimes; return them from fast to slow.

    Args:
        network: The stand-alone network.
        input_shape: `(channels, height, width)` of one image.
        executions: Where to run it.
        config: Everything else; runtime and number format are theirs.
        device: Torch device.
        on_reading: Told each reading as it comes.
        bytes_moved: Of one pass, as counted; with it peak memory and energy are measured too.

    Raises:
        NasError: If a runtime cannot be had here.
    """
    from nas.objectives.latency import shared_meter

    readings = {}
    for execution in executions:
        meter = shared_meter(execution.settings(config), input_shape, device)
        readings[execution] = meter.measure(
            network, extras=bytes_moved is not None, bytes_moved=bytes_moved
        )
        if on_reading is not None:
            on_reading(execution, readings[execution])
    return ranked(readings)


def ranked(readings: dict[Execution, LatencyReading]) -> list[Ranked]:
    """Return readings from fast to slow with their ranks."""
    found: list[Ranked] = []
    leader: LatencyReading | None = None
    ordered = sorted(readings.items(), key=lambda pair: (pair[1].latency_ms, pair[0]))
    for place, (execution, reading) in enumerate(ordered, start=1):
        if leader is None or differ(leader, reading):
            leader, rank = reading, place
        found.append(Ranked(execution, reading, rank))
    return found


def differ(first: LatencyReading, second: LatencyReading) -> bool:
    """Tell whether two latencies from different runtimes lie apart beyond their errors (95 %)."""
    errors = (
        math.hypot(each.relative_error, REFERENCE_ERROR) * each.latency_ms
        for each in (first, second)
    )
    return abs(first.latency_ms - second.latency_ms) > 1.96 * math.hypot(*errors)
