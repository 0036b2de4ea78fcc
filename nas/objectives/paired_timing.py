"""Paired timing: two calls in the order A B B A until their ratio is known well enough.

A shared machine speeds up, slows down and hiccups while one measures. A round of A B B A calls
sees the same machine on both sides: a linear drift cancels exactly in `(A1 + A2) / (B1 + B2)`, the
median over rounds ignores outliers, and rounds in which a call was far slower than its running
median are dropped and counted. That rule is the same for both sides: on a machine busy enough to
interrupt every round, dropping only those that hit the reference keeps all that hit the other, and
makes it look several times slower than it is. No torch here: calls and clocks come in as
arguments, so that tests can run a clock of their own.
"""

from __future__ import annotations

import abc
import gc
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from nas.errors import EnvironmentFault
from nas.objectives.latency_config import LatencyConfig

Call = Callable[[], object]
Clock = Callable[[], int]

WINDOW = 101
"""Calls over which a running median is taken."""

SETTLED = 8
"""Calls before a running median means something."""

HARD_LIMIT = 8
"""Multiple of `max_seconds` after which a measurement ends with what it has."""

SWEEP = 8
"""Rounds between two looks at the numbers: work between two calls would cool the caches for the
second, always the same one."""


class AbstractStopwatch(abc.ABC):
    """Times single calls."""

    @abc.abstractmethod
    def time(self, call: Call) -> float:
        """Return the duration of one call in milliseconds."""

    @abc.abstractmethod
    def now(self) -> int:
        """Return a monotonic time in nanoseconds."""


@final
class WallClock(AbstractStopwatch):
    """Reads a monotonic clock before and after.

    Args:
        clock: Nanoseconds since any moment.
    """

    def __init__(self, clock: Clock = time.perf_counter_ns) -> None:
        self._clock = clock

    def time(self, call: Call) -> float:
        """Return the duration of one call in milliseconds."""
        start = self._clock()
        call()
        return (self._clock() - start) / 1e6

    def now(self) -> int:
        """Return the clock's time in nanoseconds."""
        return self._clock()


@final
@dataclass(frozen=True)
class PairedTimes:
    """What the rounds of one measurement say.

    Args:
        ratio: Median over rounds of `(A1 + A2) / (B1 + B2)`.
        relative_error: Standard error of that median, relative to it.
        round_ratios: `(A1 + A2) / (B1 + B2)` of every round kept.
        ours_ms: Durations of A in the rounds kept.
        reference_ms: Durations of B in the rounds kept.
        rejected: Pairs dropped because a call was far above its running median.
        invalid: Pairs dropped because a duration was zero or negative.
        seconds: Time it all took.
    """

    ratio: float
    relative_error: float
    round_ratios: tuple[float, ...]
    ours_ms: tuple[float, ...]
    reference_ms: tuple[float, ...]
    rejected: int
    invalid: int
    seconds: float


@final
@dataclass
class _Tally:
    """Rounds so far."""

    reject_above: float
    ours: list[tuple[float, float]] = field(default_factory=list)
    reference: list[tuple[float, float]] = field(default_factory=list)
    recent_ours: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    recent_reference: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    rejected: int = 0
    invalid: int = 0

    def add(self, ours: tuple[float, float], reference: tuple[float, float]) -> None:
        """Keep a round, or drop and count it."""
        if min(*ours, *reference) <= 0:
            self.invalid += 1
            return
        loaded = self._is_loaded(self.recent_ours, ours)
        loaded |= self._is_loaded(self.recent_reference, reference)
        if loaded:
            self.rejected += 1
            return
        self.ours.append(ours)
        self.reference.append(reference)

    def _is_loaded(self, recent: deque[float], taken: tuple[float, float]) -> bool:
        settled = len(recent) >= SETTLED
        loaded = settled and max(taken) > self.reject_above * float(np.median(recent))
        recent.extend(taken)
        return loaded

    @property
    def rounds(self) -> int:
        """Return the rounds kept."""
        return len(self.ours)

    def ratios(self) -> NDArray[np.float64]:
        """Return the rounds' ratios."""
        sums = np.asarray((self.ours, self.reference), dtype=np.float64).sum(axis=2)
        ratios: NDArray[np.float64] = sums[0] / sums[1]
        return ratios


def time_pairs(
    ours: Call, reference: Call, config: LatencyConfig, stopwatch: AbstractStopwatch
) -> PairedTimes:
    """Time two calls in A B B A order.

    Ends when the relative standard error is below `config.target_relative_error`, or after
    `config.max_seconds`, or after `config.pairs`; but not before `config.minimum_pairs`.

    Args:
        ours: The call to judge (A).
        reference: The call of known duration (B).
        config: Budget and precision.
        stopwatch: Times single calls.

    Raises:
        EnvironmentFault: If the clock gives no positive duration.
    """
    for _ in range(config.warm_up):
        reference()
        ours()
    tally = _Tally(config.reject_above)
    started = stopwatch.now()
    with _no_collection():
        # Dropped rounds count as attempts, so that a broken clock or endless load ends too.
        for _ in range(-(-config.pairs // SWEEP)):
            _sweep(tally, ours, reference, config, stopwatch, started)
            if _is_done(tally, (stopwatch.now() - started) / 1e9, config):
                break
    return _result(tally, (stopwatch.now() - started) / 1e9)


def _sweep(
    tally: _Tally,
    ours: Call,
    reference: Call,
    config: LatencyConfig,
    stopwatch: AbstractStopwatch,
    started: int,
) -> None:
    """Run some rounds back to back, so that either call follows itself as often as the other."""
    most = max(1, min(SWEEP, -(-config.pairs // 2) - tally.rounds))
    deadline = started + int(config.max_seconds * 1e9)
    taken = []
    ours()
    for _ in range(most):
        first, before = stopwatch.time(ours), stopwatch.time(reference)
        after, second = stopwatch.time(reference), stopwatch.time(ours)
        taken.append(((first, second), (before, after)))
        if stopwatch.now() > deadline:
            break
    for ours_ms, reference_ms in taken:
        tally.add(ours_ms, reference_ms)


def _is_done(tally: _Tally, seconds: float, config: LatencyConfig) -> bool:
    if seconds > HARD_LIMIT * config.max_seconds and tally.rounds:
        return True
    if 2 * tally.rounds < config.minimum_pairs:
        return False
    if 2 * tally.rounds >= config.pairs or seconds > config.max_seconds:
        return True
    return relative_error(tally.ratios()) < config.target_relative_error


def relative_error(values: NDArray[np.float64]) -> float:
    """Return the standard error of the median, relative to it.

    It is that of a normal sample with the same interquartile range, `1.2533 * IQR / 1.349 /
    sqrt(n)`: the range, unlike the standard deviation, ignores outliers as the median does.
    """
    low, middle, high = np.percentile(values, (25, 50, 75))
    return float(0.929 * (high - low) / math.sqrt(len(values)) / middle)


def _result(tally: _Tally, seconds: float) -> PairedTimes:
    if not tally.rounds:
        raise no_positive_duration(4 * tally.invalid)
    ours = tuple(value for pair in tally.ours for value in pair)
    reference = tuple(value for pair in tally.reference for value in pair)
    ratios = tally.ratios()
    return PairedTimes(
        ratio=float(np.median(ratios)),
        relative_error=relative_error(ratios),
        round_ratios=tuple(ratios.tolist()),
        ours_ms=ours,
        reference_ms=reference,
        rejected=2 * tally.rejected,
        invalid=2 * tally.invalid,
        seconds=seconds,
    )


def no_positive_duration(calls: int) -> EnvironmentFault:
    """Return the error for a clock that timed `calls` calls and gave nothing usable."""
    return EnvironmentFault(
        f"The clock gave no usable duration in {calls} timed calls.",
        why="It stood still or ran backwards; such times mean nothing.",
        fix="Check the machine's clock source, or raise the batch so that a call takes longer.",
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from pausing one of the two calls."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
