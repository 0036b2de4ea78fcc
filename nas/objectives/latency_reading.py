"""What one latency measurement says, every number with its unit in its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, final


@final
@dataclass(frozen=True)
class Extras:
    """What is measured on request only, because it takes seconds or several further passes.

    Args:
        peak_memory_bytes: Most bytes of tensors alive at a time, weights and images included.
        bytes_moved: Bytes read and written in one pass of one image in float32: counted from the
            graph, not measured.
        energy_j_per_image: Energy of the device, its idle draw included.
        missing: Why a number is None, by its name.
    """

    peak_memory_bytes: int | None = None
    bytes_moved: int | None = None
    energy_j_per_image: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers and reasons as plain data."""
        return {
            "peak_memory_bytes": self.peak_memory_bytes,
            "bytes_moved": self.bytes_moved,
            "energy_j_per_image": self.energy_j_per_image,
            "missing": dict(self.missing),
        }


@final
@dataclass(frozen=True)
class LatencyReading:
    """One measured latency.

    Args:
        latency_ms: Median ratio to the reference, times the reference's time.
        iqr_ms: Interquartile range of the pairs' ratios, on the same scale.
        p95_ms: 95th percentile of single calls, on the same scale.
        relative_error: Standard error of `latency_ms`, relative to it.
        ratio: Median ratio to the reference.
        throughput_images_per_s: Images of one call over `latency_ms`.
        reference_ms: The reference's own time that the ratio was multiplied with.
        reference_now_ms: Its median time during this measurement.
        pairs: Pairs kept.
        rejected_pairs: Pairs dropped for load from elsewhere.
        invalid_pairs: Pairs dropped for a duration that was not positive.
        interrupted_calls: Calls from which waits for the processor were taken off.
        clock_jumps: Moments at which the clock jumped or the machine slept; what they touched was
            dropped.
        others_share: Share of the device that others used meanwhile; 0 where nobody can tell.
        retries: Attempts that were repeated.
        busy: Whether others used the device meanwhile, or a training of this package that does
            not pause.
        unstable: Whether the error stayed above `unstable_above` in every attempt, or fewer pairs
            than the minimum were kept, or more were dropped than kept.
        seconds: Time all attempts took.
        device: Digest of the device's fingerprint.
        bytes_shipped: Size of what a device would load; None where the runtime does not know.
        extras: What was asked for beyond; None where nothing was.
    """

    latency_ms: float
    iqr_ms: float
    p95_ms: float
    relative_error: float
    ratio: float
    throughput_images_per_s: float
    reference_ms: float
    reference_now_ms: float
    pairs: int
    rejected_pairs: int
    invalid_pairs: int
    interrupted_calls: int
    clock_jumps: int
    others_share: float
    retries: int
    busy: bool
    unstable: bool
    seconds: float
    device: str
    bytes_shipped: int | None = None
    extras: Extras | None = None

    @property
    def drift(self) -> float:
        """Return how much slower than its own time the reference ran meanwhile; 0 is not at all."""
        return self.reference_now_ms / self.reference_ms - 1

    @property
    def flags(self) -> tuple[str, ...]:
        """Return what a reader of the number has to know: `unstable`, `busy`, `clock jumped`."""
        told = {
            "unstable": self.unstable,
            "busy": self.busy,
            "clock jumped": self.clock_jumps > 0,
        }
        return tuple(word for word, holds in told.items() if holds)

    def details(self) -> dict[str, Any]:
        """Return everything but value and range, as plain data."""
        names = [each.name for each in fields(self)]
        plain = {
            name: getattr(self, name)
            for name in names
            if name not in ("latency_ms", "iqr_ms", "extras")
        }
        return plain if self.extras is None else {**plain, "extras": self.extras.to_dict()}
