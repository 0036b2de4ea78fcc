"""Latency of what ships, on this device: a ratio to a fixed reference, times the reference's time.

The absolute time of a call swings by several percent from minute to minute on a shared machine;
its ratio to a reference that runs in between does not. So every network is measured as a ratio
(see `nas.objectives.paired_timing`), and the reference's own time is established once per process
and device, at the quietest moment seen. Trainings of this package, in whichever process, pause
meanwhile (`nas.training.device_lock`); other work is noticed, waited for and then flagged
(`nas.objectives.busy`). Not for use from two threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import final

import numpy as np
import torch
from torch import nn

from nas.objectives.busy import BUSY_ABOVE, BusyWatch, busy_watch
from nas.objectives.device_fingerprint import DeviceFingerprint, device_fingerprint
from nas.objectives.energy import energy_per_image
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.latency_reading import Extras
from nas.objectives.latency_reading import LatencyReading as LatencyReading
from nas.objectives.memory import peak_memory
from nas.objectives.paired_timing import PairedTimes, no_positive_duration, time_pairs
from nas.objectives.runtimes import prepare
from nas.objectives.standalone import reference_network
from nas.objectives.steady_memory import keep_freed_memory
from nas.objectives.stopwatch import AbstractStopwatch, Call, WallClock, machine_clock
from nas.topology.layers import Shape
from nas.training.device_lock import measuring_on

BLOCKS = 12
BLOCK_CALLS = 25
DRIFT_OVER = 9
"""Measurements whose median tells how far the reference has drifted."""


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
        self._stopwatch = stopwatch or _stopwatch(device, config)
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

    def measure(
        self,
        network: nn.Module,
        float_stages: frozenset[str] = frozenset(),
        *,
        extras: bool = False,
        bytes_moved: int | None = None,
    ) -> LatencyReading:
        """Measure a network from images to logits.

        Args:
            network: The stand-alone network; it is copied and left as it is.
            float_stages: Stages of an int8 network that stay in float32.
            extras: Whether to measure peak memory and energy too, which takes seconds.
            bytes_moved: Bytes of one pass as `nas.cost` counts them, to stand among the extras.

        Raises:
            EnvironmentFault: If the device is not there or its clock gives no positive duration.
        """
        prepared = prepare(
            network, self.input_shape, self.config, self.device, float_stages=float_stages
        )
        call = prepared.call
        with self._alone() as alone:
            scale = self.reference_ms
            reading = self._best(call, scale)
            found = self._extras(network, call, bytes_moved) if extras else None
        self._observed.append(reading.reference_now_ms)
        busy = reading.busy or not alone
        return replace(reading, busy=busy, bytes_shipped=prepared.bytes_shipped, extras=found)

    def establish(self) -> float:
        """Time the reference and return its own time in milliseconds.

        Load from elsewhere only ever adds time, so that the smallest of many blocks' medians is
        the one nearest to a quiet machine. Ends early once three blocks agree on it within 1 %.
        """
        with self._alone():
            if self.config.wait_s and (seen := self._watch.look()) > BUSY_ABOVE:
                self._watch.wait(self.config.wait_s, seen)
            with _measuring(self.config.threads), self._stopwatch.watching():
                self._warm_up()
                return min(self._blocks())

    def _blocks(self) -> list[float]:
        medians: list[float] = []
        started = self._stopwatch.now()
        for _ in range(BLOCKS):
            medians.append(_block_median(self._reference, self._stopwatch))
            spent = (self._stopwatch.now() - started) / 1e9
            lowest = sorted(medians)[:3]
            if len(lowest) == 3 and (lowest[2] < 1.01 * lowest[0] or _is_late(spent, self)):
                break
        return medians

    def _warm_up(self) -> None:
        for _ in range(self.config.warm_up):
            self._reference()

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Have the device to ourselves, in a process that keeps its memory."""
        keep_freed_memory()
        with measuring_on(self.device) as alone:
            yield alone

    @property
    def _watch(self) -> BusyWatch:
        return busy_watch(self.device)

    def _best(self, call: Call, scale: float) -> LatencyReading:
        """Measure until it is good or the retries are used up, ever longer; return the best."""
        taken: list[LatencyReading] = []
        while True:
            before = self._watch.begin()
            times = self._times(call, 2 ** len(taken))
            taken.append(self._reading(times, scale, self._watch.others(before)))
            if len(taken) > self.config.retries or not self._again(taken[-1]):
                break
        best = min(taken, key=lambda entry: (len(entry.flags), entry.relative_error))
        return replace(best, retries=len(taken) - 1, seconds=sum(entry.seconds for entry in taken))

    def _again(self, reading: LatencyReading) -> bool:
        """Tell whether another attempt may be better, after waiting for others if there are any."""
        became_quiet = reading.busy and self._watch.wait(self.config.wait_s, reading.others_share)
        return became_quiet or reading.unstable

    def _times(self, call: Call, longer: int) -> PairedTimes:
        config = self.config.model_copy(update={"max_seconds": self.config.max_seconds * longer})
        with _measuring(self.config.threads):
            return time_pairs(call, self._reference, config, self._stopwatch)

    def _reading(self, times: PairedTimes, scale: float, others: float) -> LatencyReading:
        low, high = np.percentile(times.pair_ratios, (25, 75))
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
            throughput_images_per_s=1e3 * self.config.batch / (times.ratio * scale),
            reference_ms=scale,
            reference_now_ms=now,
            pairs=pairs,
            rejected_pairs=times.rejected,
            invalid_pairs=times.invalid,
            interrupted_calls=times.interrupted,
            clock_jumps=times.clock_jumps,
            others_share=others,
            retries=0,
            busy=others > BUSY_ABOVE,
            unstable=unstable,
            seconds=times.seconds,
            device=self.fingerprint.digest,
        )

    def _extras(self, network: nn.Module, call: Call, bytes_moved: int | None) -> Extras:
        with _measuring(self.config.threads):
            memory, no_memory = peak_memory(
                network, self.input_shape, self.config, self.device, call
            )
            energy, no_energy = energy_per_image(call, self.device, self.config.batch)
        reasons = {
            "peak_memory_bytes": no_memory,
            "energy_j_per_image": no_energy,
            "bytes_moved": "" if bytes_moved else "no architecture was given to count them from",
        }
        missing = {name: reason for name, reason in reasons.items() if reason}
        return Extras(memory, bytes_moved, energy, missing)


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


def _stopwatch(device: str, config: LatencyConfig) -> AbstractStopwatch:
    if torch.device(device).type == "cuda":
        return CudaEvents(device)
    # Several threads lose less than any one of them waits: others work or idle meanwhile.
    return machine_clock(waits=config.threads == 1)


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
