"""Memory and energy of a pass: numbers that can be checked, or the reason why there is none."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from nas.objectives import energy
from nas.objectives.energy import energy_per_image
from nas.objectives.latency import LatencyMeter
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.memory import NOT_SEEN, peak_memory
from nas.objectives.runtimes import RUNTIMES
from nas.objectives.steady_memory import keep_freed_memory

SHAPE = (4, 8, 8)
FLOATS = 4
IMAGE = 4 * 8 * 8 * FLOATS


class Branches(nn.Module):
    """Makes three tensors of which two have to be alive at once, and one dies early."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left = x * 2
        right = left + 1
        del left
        return right - 3


@pytest.mark.parametrize("batch", [1, 5])
def test_the_peak_is_what_is_alive_at_the_same_time(batch: int) -> None:
    config = LatencyConfig(batch=batch)
    found, reason = peak_memory(Branches(), SHAPE, config, "cpu", lambda: None)
    assert (found, reason) == (3 * IMAGE * batch, "")  # the images, an operand and a result


def test_weights_are_part_of_the_peak_and_tied_ones_count_once() -> None:
    linear = nn.Linear(256, 256, bias=False)
    network = nn.Sequential(nn.Flatten(), linear, linear)
    found, _ = peak_memory(network, SHAPE, LatencyConfig(), "cpu", lambda: None)
    assert found == 256 * 256 * FLOATS + IMAGE + 2 * 256 * FLOATS


def test_a_tensor_that_is_a_view_costs_nothing() -> None:
    found, _ = peak_memory(nn.Flatten(), SHAPE, LatencyConfig(), "cpu", lambda: None)
    assert found is not None
    assert found <= 2 * IMAGE  # channels last, so that flattening may copy


@pytest.mark.parametrize("runtime", sorted(NOT_SEEN))
def test_runtimes_whose_memory_nobody_sees_give_a_reason(runtime: str) -> None:
    assert runtime in RUNTIMES
    config = LatencyConfig.model_construct(runtime=runtime, batch=1, dtype="fp32")
    found, reason = peak_memory(Branches(), SHAPE, config, "cpu", lambda: None)
    assert found is None
    assert reason


class Driver:
    """Stands in for pynvml: a counter that grows by 3 J a second."""

    class NVMLError(Exception):
        """As NVML's."""

    def __init__(self, refuse: bool = False) -> None:
        self.seconds = 0.0
        self.refuse = refuse
        self.open = 0

    def nvmlInit(self) -> None:  # noqa: N802 - pynvml's name
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802 - pynvml's name
        self.open -= 1

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any) -> int:  # noqa: N802
        assert handle == "handle"
        if self.refuse:
            raise self.NVMLError("Not Supported")
        return round(1000 * 3 * self.seconds)


def spend(driver: Driver) -> None:
    driver.seconds += 0.01


def test_energy_per_image_is_the_counters_growth_over_the_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(energy, "_handle", lambda nvml, device: "handle")
    driver = Driver()
    found, reason = energy_per_image(
        lambda: spend(driver),
        "cuda:0",
        8,
        nvml=driver,
        synchronise=lambda: None,
        clock=lambda: driver.seconds,
    )
    assert found == pytest.approx(3 * 0.01 / 8)
    assert reason == ""
    assert driver.open == 0


def test_a_driver_that_refuses_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "_handle", lambda nvml, device: "handle")
    driver = Driver(refuse=True)
    found = energy_per_image(
        lambda: None, "cuda:0", 1, nvml=driver, synchronise=lambda: None, clock=lambda: 0.0
    )
    assert found == (None, "the driver gives no energy: Not Supported")
    assert driver.open == 0


def test_without_pynvml_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    found = energy_per_image(lambda: None, "cuda:0", 1, synchronise=lambda: None)
    assert found == (None, "pynvml is not installed: pip install 'nas[energy]'")


def test_a_processor_has_no_energy_counter() -> None:
    found, reason = energy_per_image(lambda: None, "cpu", 1)
    assert found is None
    assert "no energy counter is read on cpu" in reason


def test_extras_come_on_request_with_reasons_for_what_is_missing() -> None:
    config = LatencyConfig(max_seconds=0.02, warm_up=1, wait_s=0, retries=0)
    meter = LatencyMeter(config, SHAPE, reference_ms=1.0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 10))
    assert meter.measure(network).extras is None
    reading = meter.measure(network, extras=True, bytes_moved=123)
    assert reading.extras is not None
    weights, flat = (256 * 10 + 10) * FLOATS, IMAGE  # channels last, so that flattening copies
    assert reading.extras.peak_memory_bytes == weights + IMAGE + flat + 10 * FLOATS
    assert reading.extras.bytes_moved == 123
    assert reading.extras.energy_j_per_image is None
    assert set(reading.extras.missing) == {"energy_j_per_image"}
    assert reading.details()["extras"]["bytes_moved"] == 123
    other = meter.measure(network, extras=True).extras
    assert other is not None
    assert "no architecture was given" in other.missing["bytes_moved"]


FAULTS = """
import resource, sys
import torch
from nas.objectives.steady_memory import keep_freed_memory
kept = keep_freed_memory()
def call():
    return torch.ones(3_000_000).add(1).mul(2)
for _ in range(3):
    call()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    call()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_memory_that_is_kept_faults_no_page_again() -> None:
    run = [sys.executable, "-c", FAULTS]
    kept, faults = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    assert bool(int(kept)) == keep_freed_memory()
    if int(kept):
        # Ten passes over 24 MB are 60,000 pages; a system short of memory may take some back.
        assert int(faults) < 15_000
