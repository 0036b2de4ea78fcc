"""Latency of what ships, on this device: a ratio to a fixed reference, times the reference's time.

The absolute time of a call swings by several percent from minute to minute on a shared machine;
its ratio to a reference that runs in between does not. So every network is measured as a ratio
(see `nas.objectives.paired_timing`), and the reference's own time is established once per process
and device, at the quietest moment seen. Nothing else of this program may run on the device
meanwhile; the search measures alone, after a batch of evaluations. Not for use from two threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np
import torch
from torch import nn

from nas.objectives.device_fingerprint import DeviceFingerprint, device_fingerprint
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.paired_timing import (
    AbstractStopwatch,
    Call,
    PairedTimes,
    WallClock,
    no_positive_duration,
    time_pairs,
)
from nas.objectives.runtimes import prepare
from nas.objectives.standalone import reference_network
from nas.topology.layers import Shape

BLOCKS = 12
BLOCK_CALLS = 25
DRIFT_OVER = 9
"""Measurements whose median tells how far the reference has drifted."""


@final
@dataclass(frozen=True)
class LatencyReading:
    """One measured latency.

    Args:
        latency_ms: Median ratio to the reference, times the reference's time.
        iqr_ms: Interquartile range of the rounds' ratios, on the same scale.
        p95_ms: 95th percentile of single calls, on the same scale.
        relative_error: Standard error of `latency_ms`, relative to it.
        ratio: Median ratio to the reference.
        reference_ms: The reference's own time that the ratio was multiplied with.
        reference_now_ms: Its median time during this measurement.
        pairs: Pairs kept.
        rejected_pairs: Pairs dropped for load from elsewhere.
        invalid_pairs: Pairs dropped for a duration that was not positive.
        unstable: Whether the error stayed above `unstable_above`, in a second attempt as well, or
            fewer pairs than the minimum were kept, or more were dropped than kept.
        seconds: Time the measurement took.
        device: Digest of the device's fingerprint.
    """

    latency_ms: float
    iqr_ms: float
    p95_ms: float
    relative_error: float
    ratio: float
    reference_ms: float
    reference_now_ms: float
    pairs: int
    rejected_pairs: int
    invalid_pairs: int
    unstable: bool
    seconds: float
    device: str

    @property
    def drift(self) -> float:
        """Return how much slower than its own time the reference ran meanwhile; 0 is not at all."""
        return self.reference_now_ms / self.reference_ms - 1

    def details(self) -> dict[str, Any]:
        """Return everything but value and range, as plain data."""
        fields = asdict(self)
        return {
            name: value for name, value in fields.items() if name not in ("latency_ms", "iqr_ms")
        }


@final
class LatencyMeter:
    """Measures networks on one device, all against one reference.

    Args:
        config: Runtime, batch, number format, threads and budget.
        input_shape: `(channels, height, width)` of one image.
        device: Torch device.
        reference_ms: The reference's own time as an earlier process established it; latencies
            stay comparable across a resume with it. None establishes it at first use.
        stopwatch: Times single calls; by default a monotonic clock, on CUDA its events.
    """

    def __init__(
        self,
        config: LatencyConfig,
        input_shape: Shape,
        device: str = "cpu",
        *,
        reference_ms: float | None = None,
        stopwatch: AbstractStopwatch | None = None,
    ) -> None:
        self.config = config
        self.input_shape = input_shape
        self.device = device
        self._stopwatch = stopwatch or _stopwatch(device)
        self._reference = prepare(reference_network(input_shape), input_shape, config, device).call
        self._reference_ms = reference_ms
        self._observed: deque[float] = deque(maxlen=DRIFT_OVER)

    @property
    def reference_ms(self) -> float:
        """The reference's own time in milliseconds, established at first use."""
        if self._reference_ms is None:
            self._reference_ms = self.establish()
        return self._reference_ms

    @property
    def fingerprint(self) -> DeviceFingerprint:
        """The device that is measured."""
        return device_fingerprint(self.device, self.config.threads)

    @property
    def drift(self) -> float:
        """How much slower the reference ran over the last measurements than its own time.

        A lasting drift above a few percent means that the device changed its clock or got company.
        Ratios do not suffer from it, but `establish` may be called again between two searches.
        """
        return float(np.median(self._observed)) / self.reference_ms - 1 if self._observed else 0.0

    def measure(self, network: nn.Module) -> LatencyReading:
        """Measure a network from images to logits.

        Args:
            network: The stand-alone network; it is copied and left as it is.

        Raises:
            EnvironmentFault: If the device is not there or its clock gives no positive duration.
        """
        call = prepare(network, self.input_shape, self.config, self.device).call
        scale = self.reference_ms
        reading = self._reading(self._times(call), scale)
        if reading.relative_error > self.config.unstable_above:
            again = self._reading(self._times(call), scale)
            reading = min(reading, again, key=lambda entry: entry.relative_error)
        self._observed.append(reading.reference_now_ms)
        return reading

    def establish(self) -> float:
        """Time the reference and return its own time in milliseconds.

        Load from elsewhere only ever adds time, so that the smallest of many blocks' medians is
        the one nearest to a quiet machine. Ends early once two blocks agree on it within 1 %.
        """
        with _measuring(self.config.threads):
            medians: list[float] = []
            for _ in range(self.config.warm_up):
                self._reference()
            started = self._stopwatch.now()
            for _ in range(BLOCKS):
                medians.append(_block_median(self._reference, self._stopwatch))
                spent = (self._stopwatch.now() - started) / 1e9
                lowest = sorted(medians)[:3]
                if len(lowest) == 3 and (lowest[2] < 1.01 * lowest[0] or _is_late(spent, self)):
                    break
        return min(medians)

    def _times(self, call: Call) -> PairedTimes:
        with _measuring(self.config.threads):
            return time_pairs(call, self._reference, self.config, self._stopwatch)

    def _reading(self, times: PairedTimes, scale: float) -> LatencyReading:
        low, high = np.percentile(times.round_ratios, (25, 75))
        now = float(np.median(times.reference_ms))
        pairs = len(times.ours_ms)
        unstable = (
            times.relative_error > self.config.unstable_above
            or pairs < self.config.minimum_pairs
            or times.rejected + times.invalid > pairs
        )
        return LatencyReading(
            latency_ms=times.ratio * scale,
            iqr_ms=float(high - low) * scale,
            p95_ms=float(np.percentile(times.ours_ms, 95)) * scale / now,
            relative_error=times.relative_error,
            ratio=times.ratio,
            reference_ms=scale,
            reference_now_ms=now,
            pairs=pairs,
            rejected_pairs=times.rejected,
            invalid_pairs=times.invalid,
            unstable=unstable,
            seconds=times.seconds,
            device=self.fingerprint.digest,
        )


@lru_cache(maxsize=64)
def shared_meter(config: LatencyConfig, input_shape: Shape, device: str = "cpu") -> LatencyMeter:
    """Return this process's meter for a device, an input shape and settings."""
    return LatencyMeter(config, input_shape, device)


@final
class CudaEvents(AbstractStopwatch):
    """Times calls by events on the device's stream, so that queued work is not missed.

    Args:
        device: A CUDA device.
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._wall = WallClock()

    def time(self, call: Call) -> float:
        """Return the milliseconds between two events around the call."""
        with torch.cuda.device(self._device):
            start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()
            start.record()
            call()
            end.record()
            end.synchronize()
            return float(start.elapsed_time(end))

    def now(self) -> int:
        """Return the monotonic clock's time in nanoseconds."""
        return self._wall.now()


def _stopwatch(device: str) -> AbstractStopwatch:
    return CudaEvents(device) if torch.device(device).type == "cuda" else WallClock()


def _block_median(call: Call, stopwatch: AbstractStopwatch) -> float:
    taken = [duration for _ in range(BLOCK_CALLS) if (duration := stopwatch.time(call)) > 0]
    if not taken:
        raise no_positive_duration(BLOCK_CALLS)
    return float(np.median(taken))


def _is_late(spent: float, meter: LatencyMeter) -> bool:
    return spent > 4 * meter.config.max_seconds


@contextmanager
def _measuring(threads: int) -> Iterator[None]:
    """Fix the threads, record no gradients, and put both back afterwards."""
    before = torch.get_num_threads()
    if before != threads:
        torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        if before != threads:
            torch.set_num_threads(before)
