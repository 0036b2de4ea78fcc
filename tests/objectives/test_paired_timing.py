"""Paired timing on a simulated machine whose speed, hiccups and clock the test decides."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import EnvironmentFault
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.paired_timing import (
    HARD_LIMIT,
    relative_error,
    smooth_median,
    time_pairs,
    weighted_quantiles,
)
from nas.objectives.stopwatch import WallClock

MS = 1_000_000


class Machine:
    """A clock that only moves when a simulated call runs on it."""

    def __init__(self, slowdown: Callable[[float], float] = lambda seconds: 1.0) -> None:
        self.nanoseconds = 0.0
        self.calls = 0
        self.slowdown = slowdown

    def clock(self) -> int:
        return round(self.nanoseconds)

    def call(self, milliseconds: Callable[[int], float]) -> Callable[[], None]:
        def run() -> None:
            self.calls += 1
            taken = milliseconds(self.calls) * self.slowdown(self.nanoseconds / 1e9)
            self.nanoseconds += taken * MS

        return run


def steady(milliseconds: float) -> Callable[[int], float]:
    return lambda index: milliseconds


def quick(**changes: float) -> LatencyConfig:
    return LatencyConfig(warm_up=2).model_copy(update=changes)


def test_a_steady_machine_gives_the_exact_ratio_and_stops_at_the_minimum() -> None:
    machine = Machine()
    times = time_pairs(
        machine.call(steady(3.0)), machine.call(steady(2.0)), quick(), WallClock(machine.clock)
    )
    assert times.ratio == pytest.approx(1.5, abs=1e-9)
    assert times.relative_error == 0
    assert quick().minimum_pairs <= len(times.ours_ms) < quick().minimum_pairs + 16
    assert (times.rejected, times.invalid) == (0, 0)


@given(
    drift=st.floats(-0.4, 4.0),
    ours=st.floats(0.05, 5.0),
    reference=st.floats(0.05, 5.0),
)
def test_a_linear_drift_of_the_machine_leaves_the_ratio_unbiased(
    drift: float, ours: float, reference: float
) -> None:
    machine = Machine(lambda seconds: max(0.2, 1 + drift * seconds))
    times = time_pairs(
        machine.call(steady(ours)),
        machine.call(steady(reference)),
        quick(target_relative_error=1e-9, max_seconds=0.5),
        WallClock(machine.clock),
    )
    # Separate blocks of the same calls would be off by tens of percent here.
    assert times.ratio == pytest.approx(ours / reference, rel=0.01)


@pytest.mark.fault("E7")
@given(every=st.integers(7, 40), seed=st.integers(0, 1000))
def test_samples_a_hundred_times_too_long_do_not_move_the_result(every: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hit = rng.random(10_000) < 1 / every
    machine = Machine()

    def jumpy(milliseconds: float) -> Callable[[int], float]:
        return lambda index: milliseconds * (100 if hit[index] else 1)

    times = time_pairs(
        machine.call(jumpy(0.6)),
        machine.call(jumpy(0.5)),
        quick(target_relative_error=1e-9, max_seconds=3.0),
        WallClock(machine.clock),
    )
    assert times.ratio == pytest.approx(1.2, rel=1e-6)
    assert max(times.ours_ms[20:]) < 1.0


def test_rounds_with_a_slow_reference_are_dropped_and_counted() -> None:
    machine = Machine()
    times = time_pairs(
        machine.call(steady(1.0)),
        machine.call(lambda index: 4.0 if index % 41 == 0 else 1.0),
        quick(target_relative_error=1e-9, pairs=200, max_seconds=10.0),
        WallClock(machine.clock),
    )
    assert times.rejected > 0
    assert max(times.reference_ms) == pytest.approx(1.0)
    assert len(times.ours_ms) == len(times.reference_ms) == len(times.pair_ratios)


class Interruptions:
    """Adds 4 ms to a call about once every 3 ms of work, as a crowded machine does."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.left = rng.exponential(3.0)

    def during(self, milliseconds: float) -> Callable[[int], float]:
        def duration(index: int) -> float:
            self.left -= milliseconds
            if self.left > 0:
                return milliseconds
            self.left = self.rng.exponential(3.0)
            return milliseconds + 4.0

        return duration


def test_a_machine_that_interrupts_most_rounds_favours_neither_side() -> None:
    ratios = []
    for seed in range(12):
        machine, crowd = Machine(), Interruptions(np.random.default_rng(seed))
        times = time_pairs(
            machine.call(crowd.during(0.62)),
            machine.call(crowd.during(0.55)),
            quick(target_relative_error=1e-9, max_seconds=0.3),
            WallClock(machine.clock),
        )
        assert times.rejected > 0
        ratios.append(times.ratio)
    assert np.median(ratios) == pytest.approx(0.62 / 0.55, rel=0.01)


@pytest.mark.fault("E8")
def test_a_clock_that_runs_backwards_is_refused() -> None:
    readings = iter(range(10**9, 0, -1000))
    with pytest.raises(EnvironmentFault, match=r"no usable duration in \d+ timed calls[\s\S]*back"):
        time_pairs(lambda: None, lambda: None, quick(), WallClock(lambda: next(readings)))


@pytest.mark.fault("E8")
def test_a_clock_that_stands_still_is_refused() -> None:
    with pytest.raises(EnvironmentFault, match=r"no usable duration.*\n.*stood still"):
        time_pairs(lambda: None, lambda: None, quick(), WallClock(lambda: 5))


def test_single_steps_back_of_the_clock_are_dropped_and_counted() -> None:
    machine = Machine()
    times = time_pairs(
        machine.call(lambda index: -3.0 if index % 29 == 0 else 2.0),
        machine.call(steady(1.0)),
        quick(target_relative_error=1e-9, pairs=120, max_seconds=10.0),
        WallClock(machine.clock),
    )
    assert times.invalid > 0
    assert min(times.ours_ms) > 0
    assert times.ratio == pytest.approx(2.0)


def test_the_time_budget_ends_a_measurement_that_never_gets_precise() -> None:
    rng = np.random.default_rng(1)
    machine = Machine()
    times = time_pairs(
        machine.call(lambda index: float(rng.uniform(0.8, 1.2))),
        machine.call(steady(1.0)),
        quick(target_relative_error=1e-9, max_seconds=0.4),
        WallClock(machine.clock),
    )
    assert 0.4 < times.seconds < 0.42
    assert times.relative_error > 0


def test_a_very_slow_network_ends_at_the_hard_limit_with_fewer_pairs() -> None:
    machine = Machine()
    times = time_pairs(
        machine.call(steady(900.0)),
        machine.call(steady(1.0)),
        quick(max_seconds=0.25, warm_up=0),
        WallClock(machine.clock),
    )
    assert times.seconds < HARD_LIMIT * 0.25 + 3
    assert len(times.ours_ms) < quick().minimum_pairs


def test_either_call_follows_itself_as_often_as_the_other() -> None:
    machine = Machine()
    order: list[str] = []

    def note(name: str) -> Callable[[int], float]:
        def duration(index: int) -> float:
            order.append(name)
            return 1.0

        return duration

    time_pairs(
        machine.call(note("A")),
        machine.call(note("B")),
        quick(warm_up=0, minimum_pairs=16, pairs=16, max_seconds=9.0),
        WallClock(machine.clock),
    )
    # Behind the untimed A that opens the sweep.
    assert "".join(order) == "A" + 8 * "ABBA"


def test_the_garbage_collector_rests_while_timing_and_runs_again_afterwards() -> None:
    machine = Machine()
    seen: list[bool] = []
    assert gc.isenabled()
    time_pairs(
        machine.call(lambda index: seen.append(gc.isenabled()) or 1.0),
        machine.call(steady(1.0)),
        quick(warm_up=0),
        WallClock(machine.clock),
    )
    assert not any(seen)
    assert gc.isenabled()


def test_the_relative_error_is_that_of_the_median_of_a_normal_sample() -> None:
    rng = np.random.default_rng(2)
    samples = rng.normal(10.0, 1.0, (400, 101))
    claimed = np.mean([relative_error(sample) for sample in samples])
    actual = np.std(np.median(samples, axis=1)) / 10.0
    assert claimed == pytest.approx(actual, rel=0.15)


class Jumpy(Machine):
    """A clock that jumps by so much during the given calls, and a machine that sleeps in them."""

    def __init__(self, jumps: dict[int, float], sleeps: dict[int, float] | None = None) -> None:
        super().__init__()
        self.jumps = jumps
        self.sleeps = sleeps or {}
        self.asleep = 0.0

    def steady(self, milliseconds: float) -> Callable[[], None]:
        def run() -> None:
            self.calls += 1
            self.nanoseconds += milliseconds * MS + self.jumps.get(self.calls, 0.0) * 1e9
            self.asleep += self.sleeps.get(self.calls, 0.0) * 1e9

        return run

    def stopwatch(self) -> WallClock:
        return WallClock(self.clock, asleep=lambda: round(self.asleep))


@pytest.mark.fault("A18", "E8")
@given(
    seconds=st.floats(1.1, 1e6),
    backwards=st.booleans(),
    calls=st.sets(st.integers(30, 480), min_size=1, max_size=4),
)
def test_jumps_of_the_clock_are_dropped_counted_and_cost_no_time(
    seconds: float, backwards: bool, calls: set[int]
) -> None:
    machine = Jumpy(dict.fromkeys(calls, -seconds if backwards else seconds))
    times = time_pairs(
        machine.steady(3.0),
        machine.steady(2.0),
        quick(target_relative_error=1e-12, pairs=240, minimum_pairs=240, max_seconds=2.0),
        machine.stopwatch(),
    )
    assert times.ratio == pytest.approx(1.5, rel=1e-6)
    assert max(times.ours_ms) == pytest.approx(3.0, rel=1e-6)
    assert 1 <= times.clock_jumps <= len(calls)
    assert times.seconds < 2.1
    assert len(times.ours_ms) >= quick().minimum_pairs


def test_a_jump_between_two_calls_is_counted_too() -> None:
    machine = Jumpy({})
    readings = {"count": 0}

    def clock() -> int:
        readings["count"] += 1
        if readings["count"] == 60:
            machine.nanoseconds += 3600e9
        return machine.clock()

    times = time_pairs(machine.steady(3.0), machine.steady(2.0), quick(pairs=80), WallClock(clock))
    assert times.clock_jumps == 1
    assert times.seconds < 1


@pytest.mark.fault("E7")
def test_what_a_sleeping_machine_touched_is_dropped_and_counted() -> None:
    machine = Jumpy({}, {50: 3600.0})
    times = time_pairs(
        machine.steady(3.0), machine.steady(2.0), quick(pairs=80), machine.stopwatch()
    )
    assert times.clock_jumps == 1
    assert times.rejected == 16
    assert times.ratio == pytest.approx(1.5)


def test_pairs_on_a_slow_machine_count_less() -> None:
    values = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    weights = np.array([1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1])
    assert weighted_quantiles(values, weights, np.array([0.5]))[0] == pytest.approx(1.0)
    assert smooth_median(values, weights) == pytest.approx(1.0)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=60), st.integers(0, 10**6))
def test_the_smooth_median_lies_between_the_values_around_the_middle(
    values: list[float], seed: int
) -> None:
    numbers = np.array(values)
    weights = np.random.default_rng(seed).uniform(0.1, 1.0, len(values))
    low, high = np.quantile(np.repeat(numbers, (1000 * weights).astype(int)), (0.29, 0.71))
    assert low * (1 - 1e-9) <= smooth_median(numbers, weights) <= high * (1 + 1e-9)
    same = np.full(len(values), numbers[0])
    assert smooth_median(same, weights) == pytest.approx(numbers[0])


def test_three_pairs_in_ten_may_be_ruined_without_moving_the_result() -> None:
    values = np.array([1.5] * 7 + [1e6] * 3)
    assert smooth_median(values, np.ones(10)) == pytest.approx(1.5)
    assert smooth_median(1 / values, np.ones(10)) == pytest.approx(1 / 1.5)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=60), st.floats(0.1, 5))
def test_a_weighted_median_of_equal_weights_is_the_median(
    values: list[float], weight: float
) -> None:
    numbers = np.array(values)
    found = weighted_quantiles(numbers, np.full(len(values), weight), np.array([0.5]))
    assert found[0] == pytest.approx(np.median(numbers))


def test_disturbances_that_last_for_many_pairs_count_in_the_error() -> None:
    rng = np.random.default_rng(3)
    machine = Machine()
    slow = np.repeat(rng.normal(1.0, 0.05, 400), 40)  # the same for some twenty calls of A

    times = time_pairs(
        machine.call(lambda index: 2.0 * slow[index]),
        machine.call(steady(1.0)),
        quick(target_relative_error=1e-9, pairs=800, minimum_pairs=800, max_seconds=9.0),
        WallClock(machine.clock),
    )
    alone = relative_error(np.asarray(times.pair_ratios))
    assert times.relative_error > 2 * alone
