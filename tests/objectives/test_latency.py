"""Latency of real modules on this machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from pydantic import ValidationError
from scale import scaled
from torch import nn

from nas.errors import EnvironmentFault
from nas.objectives.latency import LatencyMeter, shared_meter
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.runtimes import prepare
from nas.objectives.standalone import reference_network
from nas.objectives.stopwatch import AbstractStopwatch, Call

SHAPE = (1, 8, 8)
QUICK = LatencyConfig(max_seconds=0.05, warm_up=5, wait_s=0)


def network(convolutions: int, width: int = 16) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1)]
    for _ in range(convolutions - 1):
        layers += [nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


class Scripted(AbstractStopwatch):
    """Answers with given durations, whatever the call."""

    def __init__(self, durations: Iterator[float]) -> None:
        self.durations = durations
        self.elapsed = 0.0

    def time(self, call: Call) -> float:
        duration = next(self.durations)
        self.elapsed += duration
        return duration

    def now(self) -> int:
        return round(self.elapsed * 1e6)


def forever(*durations: float) -> Iterator[float]:
    while True:
        yield from durations


@pytest.fixture(scope="module")
def meter() -> LatencyMeter:
    return LatencyMeter(QUICK, SHAPE)


def test_the_order_of_two_networks_that_differ_twofold_is_never_wrong(meter: LatencyMeter) -> None:
    short, long = network(6), network(14)
    for _ in range(scaled(100)):
        assert meter.measure(short).latency_ms < meter.measure(long).latency_ms


def test_the_reference_measured_against_itself_has_ratio_one() -> None:
    meter = LatencyMeter(QUICK.model_copy(update={"max_seconds": 0.2}), SHAPE)
    ratios = sorted(meter.measure(reference_network(SHAPE)).ratio for _ in range(5))
    assert ratios[2] == pytest.approx(1.0, rel=0.05)


def test_a_reading_is_consistent_and_its_details_are_plain_data(meter: LatencyMeter) -> None:
    reading = meter.measure(network(4))
    assert reading.latency_ms == pytest.approx(reading.ratio * meter.reference_ms)
    assert 0 <= reading.iqr_ms < math.inf
    assert reading.p95_ms > 0
    assert reading.throughput_images_per_s == pytest.approx(1000 / reading.latency_ms)
    assert reading.pairs >= QUICK.minimum_pairs or reading.unstable
    details = reading.details()
    assert details["reference_ms"] == meter.reference_ms
    assert details["device"] == meter.fingerprint.digest
    assert all(isinstance(value, float | int | str | bool) for value in details.values())
    assert "latency_ms" not in details


def test_the_network_and_the_settings_of_torch_are_left_as_they_were(meter: LatencyMeter) -> None:
    judged = network(2).train()
    before = {name: value.clone() for name, value in judged.state_dict().items()}
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    other = LatencyMeter(QUICK.model_copy(update={"threads": threads + 1}), SHAPE)
    other.measure(judged)
    assert judged.training
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.is_inference_mode_enabled()
    assert all(torch.equal(before[name], value) for name, value in judged.state_dict().items())


def test_the_call_that_is_timed_runs_in_eval_mode_on_channels_last_images() -> None:
    seen: list[tuple[bool, bool, torch.dtype, int]] = []

    class Spy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            last = x.is_contiguous(memory_format=torch.channels_last)
            seen.append((self.training, last, x.dtype, len(x)))
            return x

    config = LatencyConfig(batch=3, dtype="bf16")
    prepare(Spy().train(), (3, 4, 4), config).call()
    assert seen == [(False, True, torch.bfloat16, 3)]


def test_latency_is_measured_without_gradients(meter: LatencyMeter) -> None:
    seen: set[bool] = set()

    class Spy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.add(torch.is_inference_mode_enabled())
            return x

    meter.measure(Spy())
    assert seen == {True}


def test_the_reference_is_the_same_network_every_time_and_changes_no_random_state() -> None:
    state = torch.random.get_rng_state()
    first = reference_network((3, 224, 224))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(1)
    second = reference_network((3, 224, 224))
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)
    with torch.inference_mode():
        assert first(torch.zeros(1, 3, 224, 224)).shape == (1, 10)


def test_the_reference_time_is_the_quietest_block_and_kept() -> None:
    durations = iter([2.0] * 25 + [1.0] * 25 + [3.0] * 25 + [1.004] * 25 + [1.002] * 25)
    meter = LatencyMeter(QUICK, SHAPE, stopwatch=Scripted(durations))
    assert meter.reference_ms == 1.0
    assert meter.reference_ms == 1.0


def test_a_reference_time_from_an_earlier_process_scales_the_ratio() -> None:
    meter = LatencyMeter(
        QUICK, SHAPE, reference_ms=0.5, stopwatch=Scripted(forever(3.0, 2.0, 2.0, 3.0))
    )
    reading = meter.measure(nn.Identity())
    assert reading.latency_ms == pytest.approx(0.75)
    assert reading.p95_ms == pytest.approx(0.75)
    assert reading.drift == pytest.approx(3.0)
    assert meter.drift == pytest.approx(3.0)
    assert not reading.unstable


@pytest.mark.fault("E7")
def test_a_spread_that_stays_large_is_flagged_as_unstable() -> None:
    durations = forever(1.0, 1.0, 1.0, 1.0, 1.4, 1.0, 1.0, 1.4, 0.7, 1.0, 1.0, 0.7)
    config = LatencyConfig(pairs=40, minimum_pairs=40, reject_above=3.0, retries=3, wait_s=0)
    meter = LatencyMeter(config, SHAPE, reference_ms=1.0, stopwatch=Scripted(durations))
    reading = meter.measure(nn.Identity())
    assert reading.relative_error > config.unstable_above
    assert reading.unstable
    assert reading.retries == 3
    assert "unstable" in reading.flags


def test_an_unstable_measurement_is_taken_once_more_and_the_better_one_counts() -> None:
    noisy = [1.0, 1.0, 1.0, 1.0, 1.4, 1.0, 1.0, 1.4, 0.7, 1.0, 1.0, 0.7]
    config = LatencyConfig(pairs=48, minimum_pairs=48, reject_above=3.0, warm_up=0)
    # Three sweeps of an untimed call, which the stopwatch does not see, and eight rounds of four.
    durations = iter(noisy * 8 + [1.2, 1.0, 1.0, 1.2] * 24)
    meter = LatencyMeter(config, SHAPE, reference_ms=1.0, stopwatch=Scripted(durations))
    reading = meter.measure(nn.Identity())
    assert reading.latency_ms == pytest.approx(1.2)
    assert not reading.unstable
    assert reading.retries == 1


class Watch:
    """Says that others use so much of the device, and counts the waits for them."""

    def __init__(self, shares: list[float], quiet_after: int = 10**9) -> None:
        self.shares = shares
        self.quiet_after = quiet_after
        self.waits = 0

    def begin(self) -> None:
        return None

    def others(self, since: None) -> float:
        return self.shares.pop(0)

    def wait(self, longest_s: float, seen: float) -> bool:
        self.waits += 1
        return self.waits >= self.quiet_after


def watched(monkeypatch: pytest.MonkeyPatch, watch: Watch, **changes: float) -> LatencyMeter:
    monkeypatch.setattr("nas.objectives.latency.busy_watch", lambda device: watch)
    config = LatencyConfig(pairs=40, minimum_pairs=40, warm_up=0).model_copy(update=changes)
    steady = Scripted(forever(1.2, 1.0, 1.0, 1.2))
    return LatencyMeter(config, SHAPE, reference_ms=1.0, stopwatch=steady)


def test_a_device_that_stays_busy_is_measured_once_and_flagged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Watch([0.6])
    reading = watched(monkeypatch, watch).measure(nn.Identity())
    assert reading.busy
    assert reading.flags == ("busy",)
    assert (reading.others_share, reading.retries, watch.waits) == (0.6, 0, 1)


def test_a_device_that_becomes_quiet_is_measured_again_and_that_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Watch([0.6, 0.0], quiet_after=1)
    reading = watched(monkeypatch, watch).measure(nn.Identity())
    assert not reading.flags
    assert (reading.others_share, reading.retries) == (0.0, 1)


def test_a_training_that_does_not_pause_makes_the_device_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nas.objectives.latency.measuring_on", lambda device: nullcontext(False))
    assert watched(monkeypatch, Watch([0.0])).measure(nn.Identity()).busy


def test_a_clock_that_jumped_is_flagged_and_the_number_is_right() -> None:
    durations = [1.2, 1.0, 1.0, 1.2] * 40
    durations[50] = -5000.0
    config = LatencyConfig(pairs=60, minimum_pairs=60, warm_up=0, wait_s=0)
    meter = LatencyMeter(config, SHAPE, reference_ms=1.0, stopwatch=Scripted(iter(durations)))
    reading = meter.measure(nn.Identity())
    assert reading.latency_ms == pytest.approx(1.2)
    assert reading.flags == ("clock jumped",)
    assert (reading.clock_jumps, reading.invalid_pairs) == (1, 1)


@pytest.mark.fault("E8")
def test_a_clock_without_positive_durations_is_refused_for_the_reference_too() -> None:
    meter = LatencyMeter(QUICK, SHAPE, stopwatch=Scripted(forever(0.0, -1.0)))
    with pytest.raises(EnvironmentFault, match="no usable duration in 25 timed calls"):
        _ = meter.reference_ms


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_cuda_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(EnvironmentFault, match=r"'cuda:0' is not there[\s\S]*--device cpu"):
        LatencyMeter(QUICK, SHAPE, "cuda:0")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_events_and_the_wall_clock_agree() -> None:
    meter = LatencyMeter(QUICK, (3, 32, 32), "cuda:0")
    assert meter.measure(reference_network((3, 32, 32))).ratio == pytest.approx(1.0, rel=0.1)


def test_one_meter_serves_all_measurements_of_a_device_and_setting() -> None:
    assert shared_meter(QUICK, SHAPE) is shared_meter(LatencyConfig(**QUICK.model_dump()), SHAPE)
    assert shared_meter(QUICK, SHAPE) is not shared_meter(QUICK, (3, 8, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairs": 10, "minimum_pairs": 20}, "minimum_pairs is 20 and pairs is 10"),
        ({"batch": 0}, "batch"),
        ({"threads": -1}, "threads"),
        ({"max_seconds": 0}, "max_seconds"),
        ({"max_seconds": float("nan")}, "max_seconds"),
        ({"reject_above": 1.0}, "reject_above"),
        ({"retries": -1}, "retries"),
        ({"wait_s": -1}, "wait_s"),
        ({"wait_s": float("inf")}, "wait_s"),
        ({"runtime": "abacus"}, "runtime"),
        ({"warmup": 3}, "warmup"),
    ],
)
def test_absurd_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LatencyConfig.model_validate(changes)
