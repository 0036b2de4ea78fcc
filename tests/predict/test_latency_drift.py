"""Whether a profile still fits: verdicts on made-up devices that stay, drift, or are noisy."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from latency_devices import CLASSES, SHAPE, MadeMeter, members

from nas.errors import ConfigError, EnvironmentFault
from nas.objectives.latency_config import LatencyConfig
from nas.predict import building
from nas.predict.building import read_measurement
from nas.predict.drift import Drift, Remeasured, drift_of, measure_drift
from nas.predict.features import network_features
from nas.predict.probes import Planned
from nas.predict.profile import SCHEMA, Device, LatencyProfile, SpaceName


@pytest.fixture(autouse=True)
def _features_for_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "build_standalone", network_features)


def profile(meter: MadeMeter, number: int = 20) -> LatencyProfile:
    planned = [Planned("member", "m", network) for network in members("wired_cnn", number)]
    return LatencyProfile(
        schema_name=SCHEMA,
        objective="latency_ms[eager,b1,fp32]",
        space=SpaceName(name="wired_cnn", fingerprint="f"),
        input_shape=SHAPE,
        num_classes=CLASSES,
        device=Device(digest=meter.fingerprint.digest, facts=dict(meter.fingerprint.to_dict())),
        settings=LatencyConfig(),
        seed=0,
        built="2026-01-01T00:00:00Z",
        reference_ms=meter.reference_ms,
        measurements=tuple(read_measurement(meter, each, SHAPE, CLASSES) for each in planned),
    )


def drift(before: MadeMeter, now: Any, number: int = 12) -> Drift:
    return measure_drift(profile(before), now, number, 0, lambda *told: None)


def test_a_device_that_stayed_as_it_was_fits() -> None:
    found = drift(MadeMeter(), MadeMeter(noise=0.005))
    assert found.verdict == "fits"
    assert found.low < found.drift < found.high
    assert len(found.networks) == 12


def test_a_lower_clock_is_no_drift_of_ratios_but_is_told() -> None:
    meter = MadeMeter(noise=0.005, reference_ms=0.75, slower=1.5)
    found = drift(MadeMeter(), meter)
    assert found.verdict == "fits"
    assert found.reference_drift == pytest.approx(0.5)


def test_networks_that_all_got_slower_have_drifted() -> None:
    found = drift(MadeMeter(), MadeMeter(slower=1.1))
    assert found.verdict == "drifted"
    assert found.drift == pytest.approx(0.1, abs=0.02)


def test_a_noisy_device_leaves_it_open() -> None:
    assert drift(MadeMeter(), MadeMeter(noise=0.2)).verdict == "unsure"


def test_one_burst_of_load_is_no_drift() -> None:
    rng = np.random.default_rng(0)
    pairs = [Remeasured("m", 1.0, math.exp(0.01 * rng.standard_normal())) for _ in range(11)]
    assert drift_of([*pairs, Remeasured("burst", 1.0, 1.6)], 0.0).verdict == "fits"


def test_another_device_is_no_drift() -> None:
    with pytest.raises(EnvironmentFault, match=r"of another device.*processor: made up, here o"):
        drift(MadeMeter(), MadeMeter(processor="other"))


def test_two_networks_are_too_few() -> None:
    with pytest.raises(ConfigError, match=r"needs 3 networks measured twice; asked for are 2"):
        drift(MadeMeter(), MadeMeter(), number=2)


def test_readings_beside_other_work_are_told() -> None:
    class Busy(MadeMeter):
        def measure(self, network: Any) -> Any:
            return replace(super().measure(network), busy=True, unstable=True)

    found = drift(MadeMeter(), Busy(noise=0.005))
    assert all(own.busy and own.unstable for own in found.networks)
