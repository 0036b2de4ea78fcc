"""Paired timing: two calls in the order A B B A until their ratio is known well enough.

A shared machine speeds up, slows down and hiccups while one measures. Two calls next to each other
see the same machine, so the number is the median over pairs A B and B A of their ratio. It is a
weighted median: a pair on a slow machine tells less, and counts less, by the fourth power of its
slowness. And it is a smooth one: the mean over the middle 40 % of the weight scatters a quarter
less than the midmost value where pairs are few, and heeds outliers no more. Were one order faster
than the other, as under a steady drift, each order is centred first. Pairs in which a call was far
slower than its running median are dropped and counted. All these rules are the same for both sides:
on a machine busy enough to interrupt most pairs, dropping only those that hit the reference keeps
all that hit the other, and makes it look several times slower than it is.

Clocks jump and machines sleep: a pair across such a moment is dropped, the moment is counted, and
the time it seems to have taken is not charged to the budget. No torch here: calls and clocks come
in as arguments, so that tests can run a clock of their own.
"""

from __future__ import annotations

import gc
import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from nas.errors import EnvironmentFault
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.stopwatch import AbstractStopwatch, Call

Numbers = NDArray[np.float64]
Round = tuple[float, float, float, float]
"""Durations of A, B, B and A in milliseconds."""
Jumps = tuple[bool, bool, bool, bool]

WINDOW: Final = 101
"""Calls over which a running median is taken."""
SETTLED: Final = 8
"""Calls before a running median means something."""
HARD_LIMIT: Final = 8
"""Multiple of `max_seconds` after which a measurement ends with what it has."""
SWEEP: Final = 8
"""Rounds between two looks at the numbers: work between two calls would cool the caches for the
second, always the same one."""
JUMP_FACTOR: Final = 30.0
JUMP_MS: Final = 250.0
"""A call that took so many times as long as usual, and so much longer, was not slowed down by
load: the clock jumped, or everything stood still."""
BETWEEN_MS: Final = 1000.0
"""Time between the calls of a round from which the clock jumped there."""
SLEEP_NS: Final = 10_000_000
"""Sleep of the machine during a sweep from which it is dropped."""
QUIET_SHARE: Final = 0.2
"""Quantile of a side's calls that stands for its time on a quiet machine, in weights."""
FEWEST_BLOCKS: Final = 6
"""Rounds or sweeps from which their scatter means something."""
DOUBT: Final = 3.0
"""Standard errors from which a difference between the two orders counts as one."""
MIDDLE: Final = (0.3, 0.7)
"""Shares of the weight between which ratios are averaged."""
SLOWNESS_POWER: Final = 4


@final
@dataclass(frozen=True)
class PairedTimes:
    """What the pairs of one measurement say.

    Args:
        ratio: Smooth weighted median over pairs of the duration of A over that of B.
        relative_error: Standard error of that median, relative to it; the largest of what pairs,
            rounds and sweeps say, since pairs that are disturbed together are not independent.
        pair_ratios: Ratio of every pair kept.
        ours_ms: Durations of A in the pairs kept.
        reference_ms: Durations of B in the pairs kept.
        rejected: Pairs dropped because a call was far above its running median.
        invalid: Pairs dropped because a duration was zero or negative.
        interrupted: Calls from which waits for a processor were taken off.
        clock_jumps: Moments at which the clock jumped or the machine slept.
        seconds: Time it all took.
    """

    ratio: float
    relative_error: float
    pair_ratios: tuple[float, ...]
    ours_ms: tuple[float, ...]
    reference_ms: tuple[float, ...]
    rejected: int
    invalid: int
    interrupted: int
    clock_jumps: int
    seconds: float


@final
@dataclass
class _Tally:
    """Pairs so far, each A before B or the other way round."""

    reject_above: float
    ours: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)
    ours_first: list[bool] = field(default_factory=list)
    round_of: list[int] = field(default_factory=list)
    rounds: int = 0
    recent_ours: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    recent_reference: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    rejected: int = 0
    invalid: int = 0

    def add(self, taken: Round, jumped: Jumps) -> None:
        """Keep the two pairs of a round, or drop and count them."""
        self._add(taken[0], taken[1], True, jumped[0] or jumped[1])
        self._add(taken[3], taken[2], False, jumped[3] or jumped[2])
        self.rounds += 1

    def _add(self, ours: float, reference: float, ours_first: bool, jumped: bool) -> None:
        if min(ours, reference) <= 0:
            self.invalid += 1
            return
        if jumped:
            self.rejected += 1
            return
        loaded = self._is_loaded(self.recent_ours, ours)
        loaded |= self._is_loaded(self.recent_reference, reference)
        if loaded:
            self.rejected += 1
            return
        self.ours.append(ours)
        self.reference.append(reference)
        self.ours_first.append(ours_first)
        self.round_of.append(self.rounds)

    def usual(self) -> tuple[float | None, float | None]:
        """Return what a call of either side takes, None before that is known."""
        sides = (self.recent_ours, self.recent_reference)
        ours, reference = (
            float(np.median(recent)) if len(recent) >= SETTLED else None for recent in sides
        )
        return ours, reference

    def _is_loaded(self, recent: deque[float], taken: float) -> bool:
        settled = len(recent) >= SETTLED
        loaded = settled and taken > self.reject_above * float(np.median(recent))
        recent.append(taken)
        return loaded

    @property
    def pairs(self) -> int:
        """Return the pairs kept."""
        return len(self.ours)

    def summary(self) -> tuple[float, float]:
        """Return the weighted median of the ratios and its relative standard error."""
        ratios, weights = self.judged()
        ratio, error = _summary(ratios, weights)
        blocks = np.asarray(self.round_of)
        scatter = (_block_error(ratios, weights, blocks // size) for size in (1, SWEEP))
        return ratio, max(error, *scatter)

    def judged(self) -> tuple[Numbers, Numbers]:
        """Return the pairs' ratios, either order centred on both, and their weights."""
        ours, reference = np.asarray(self.ours), np.asarray(self.reference)
        ratios, weights = ours / reference, _weights(ours, reference)
        first = np.asarray(self.ours_first)
        if first.all() or not first.any():
            return ratios, weights
        sides = [_summary(ratios[side], weights[side]) for side in (first, ~first)]
        offset = math.log(sides[0][0] / sides[1][0]) / 2
        if abs(offset) > DOUBT * math.hypot(sides[0][1], sides[1][1]) / 2:
            ratios = ratios * np.exp(np.where(first, -offset, offset))
        return ratios, weights


def _inspect(taken: Round, usual: tuple[float | None, float | None]) -> tuple[Jumps, float]:
    """Return in which calls of a round the clock jumped, and what the round took without that.

    Before anything is known of the calls each is compared with its twin.
    """
    ours, reference = usual
    judged = [
        _jumped(taken[0], ours or taken[3]),
        _jumped(taken[1], reference or taken[2]),
        _jumped(taken[2], reference or taken[1]),
        _jumped(taken[3], ours or taken[0]),
    ]
    first, before, after, second = (jumped for jumped, _ in judged)
    return (first, before, after, second), sum(plausible for _, plausible in judged)


def _jumped(taken: float, usual: float) -> tuple[bool, float]:
    if usual <= 0:
        return False, max(0.0, taken)
    far = taken < 0 or (taken > JUMP_FACTOR * usual and taken - usual > JUMP_MS)
    return far, usual if far else taken


def _weights(ours: Numbers, reference: Numbers) -> Numbers:
    slowness = np.maximum(
        ours / np.quantile(ours, QUIET_SHARE), reference / np.quantile(reference, QUIET_SHARE)
    )
    weights: Numbers = 1 / np.maximum(slowness, 1.0) ** SLOWNESS_POWER
    return weights


@final
class _Elapsed:
    """Time spent on a measurement; jumps of the clock do not count."""

    def __init__(self, stopwatch: AbstractStopwatch) -> None:
        self.stopwatch = stopwatch
        self.seconds = 0.0
        self.jumps = 0
        self._last = stopwatch.now()
        self._slept = stopwatch.slept()

    def tick(self, plausible_ms: float, jumps: int) -> None:
        """Charge the time since the last tick, in which a round ran."""
        now = self.stopwatch.now()
        passed, self._last = (now - self._last) / 1e6, now
        if not jumps and (passed < 0 or passed > plausible_ms + BETWEEN_MS):
            jumps = 1
        self.jumps += jumps
        self.seconds += (plausible_ms if jumps else passed) / 1e3

    def has_slept(self) -> bool:
        """Tell whether the machine slept since this was asked last."""
        before, self._slept = self._slept, self.stopwatch.slept()
        return self._slept - before > SLEEP_NS


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
    with stopwatch.watching(), _no_collection():
        elapsed = _Elapsed(stopwatch)
        interrupted = -stopwatch.interruptions()
        # Dropped pairs count as attempts, so that a broken clock or endless load ends too.
        for _ in range(-(-config.pairs // SWEEP)):
            _sweep(tally, ours, reference, config, elapsed)
            if _is_done(tally, elapsed.seconds, config):
                break
        interrupted += stopwatch.interruptions()
    return _result(tally, elapsed, interrupted)


def _sweep(
    tally: _Tally, ours: Call, reference: Call, config: LatencyConfig, elapsed: _Elapsed
) -> None:
    """Run some rounds back to back, so that either call follows itself as often as the other."""
    most = max(1, min(SWEEP, -(-(config.pairs - tally.pairs) // 2)))
    time = elapsed.stopwatch.time
    usual = tally.usual()
    rounds: list[tuple[Round, Jumps]] = []
    ours()
    for _ in range(most):
        first, before = time(ours), time(reference)
        after, second = time(reference), time(ours)
        taken = (first, before, after, second)
        jumped, plausible_ms = _inspect(taken, usual)
        rounds.append((taken, jumped))
        elapsed.tick(plausible_ms, sum(jumped))
        if elapsed.seconds > config.max_seconds:
            break
    if elapsed.has_slept():
        elapsed.jumps += 1
        tally.rejected += 2 * len(rounds)
        return
    for taken, jumped in rounds:
        tally.add(taken, jumped)


def _is_done(tally: _Tally, seconds: float, config: LatencyConfig) -> bool:
    if seconds > HARD_LIMIT * config.max_seconds and tally.pairs:
        return True
    if tally.pairs < config.minimum_pairs:
        return False
    if tally.pairs >= config.pairs or seconds > config.max_seconds:
        return True
    return tally.summary()[1] < config.target_relative_error


def relative_error(values: Numbers, weights: Numbers | None = None) -> float:
    """Return the standard error of the weighted median, relative to it.

    It is that of a normal sample with the same interquartile range, `1.2533 * IQR / 1.349 /
    sqrt(n)`: the range, unlike the standard deviation, ignores outliers as the median does. Unequal
    weights count as fewer values, `(sum w)^2 / sum w^2`.
    """
    return _summary(values, np.ones(len(values)) if weights is None else weights)[1]


def weighted_quantiles(values: Numbers, weights: Numbers, shares: Numbers) -> Numbers:
    """Return values below which lie the given shares of the weight; equal weights give medians."""
    order = np.argsort(values)
    ranked, own = values[order], weights[order]
    middles = (np.cumsum(own) - own / 2) / own.sum()
    found: Numbers = np.interp(shares, middles, ranked)
    return found


def smooth_median(values: Numbers, weights: Numbers) -> float:
    """Return the geometric mean of positive values over the middle of their weight."""
    order = np.argsort(values)
    ends = np.cumsum(weights[order]) / weights.sum()
    starts = np.concatenate(([0.0], ends[:-1]))
    inside = np.clip(np.minimum(ends, MIDDLE[1]) - np.maximum(starts, MIDDLE[0]), 0.0, None)
    return float(np.exp(np.average(np.log(values[order]), weights=inside)))


def _summary(values: Numbers, weights: Numbers) -> tuple[float, float]:
    """Return the smooth weighted median and the standard error of a median, relative to it."""
    low, high = weighted_quantiles(values, weights, np.array([0.25, 0.75]))
    middle = smooth_median(values, weights)
    count = weights.sum() ** 2 / (weights**2).sum()
    return middle, float(0.929 * (high - low) / math.sqrt(count) / middle)


def _block_error(ratios: Numbers, weights: Numbers, blocks: NDArray[np.intp]) -> float:
    """Return the relative standard error that the scatter of blocks' means stands for."""
    _, block = np.unique(blocks, return_inverse=True)
    total = np.bincount(block, weights)
    if len(total) < FEWEST_BLOCKS:
        return 0.0
    low, high = np.percentile(np.bincount(block, weights * np.log(ratios)) / total, (25, 75))
    return float(0.929 * (high - low) / math.sqrt(len(total)))


def _result(tally: _Tally, elapsed: _Elapsed, interrupted: int) -> PairedTimes:
    if not tally.pairs:
        raise no_positive_duration(2 * (tally.invalid + tally.rejected))
    ratio, error = tally.summary()
    return PairedTimes(
        ratio=ratio,
        relative_error=error,
        pair_ratios=tuple(tally.judged()[0].tolist()),
        ours_ms=tuple(tally.ours),
        reference_ms=tuple(tally.reference),
        rejected=tally.rejected,
        invalid=tally.invalid,
        interrupted=interrupted,
        clock_jumps=elapsed.jumps,
        seconds=elapsed.seconds,
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
