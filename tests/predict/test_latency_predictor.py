"""Predictions: how close, how sure, and what is said when there is little to go by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from latency_devices import CLASSES, SHAPE, MadeDevice, measured, members
from scale import scaled

from nas.errors import ConfigError
from nas.predict.latency_predictor import LatencyPredictor, MeasuredNetwork

DEVICE = MadeDevice(favours=(("3x3", 1.6), ("mbconv", 0.5)))
OTHERS = (
    MadeDevice(0.05, 10, 40),
    MadeDevice(0.004, 90, 60, (("3x3", 2.0),)),
    MadeDevice(0.03, 20, 200, (("mbconv", 0.4),)),
    MadeDevice(0.01, 50, 100, (("3x3", 1.4), ("separable", 2.0))),
)


def predictor(number: int = 60, noise: float = 0.02, seed: int = 0) -> LatencyPredictor:
    own = measured(DEVICE, members("wired_cnn", number, seed), noise, seed)
    return LatencyPredictor(own, SHAPE, CLASSES)


def test_members_are_predicted_within_ten_percent_and_inside_their_intervals() -> None:
    within, inside = [], []
    for seed in range(scaled(20)):
        unseen = members("wired_cnn", 60, 1000 + seed)
        true = [own.latency_ms for own in measured(DEVICE, unseen, 0.02, 1000 + seed)]
        found = predictor(60, seed=seed).predict_all(unseen)
        for each, own in zip(found, true, strict=True):
            within.append(abs(each.latency_ms / own - 1) <= 0.1)
            inside.append(each.low_ms <= own <= each.high_ms)
    assert np.mean(within) > 0.98
    assert 0.91 < np.mean(inside) < 0.99


def test_a_measured_network_keeps_its_value_and_its_prediction() -> None:
    network = members("wired_cnn", 1, seed=7)[0]
    own = predictor()
    before = own.predict(network, SHAPE, CLASSES)
    assert (before.source, before.measured_ms) == ("predicted", None)
    value = 1.03 * before.latency_ms
    own.observe(network, value, 0.01)
    after = own.predict(network, SHAPE, CLASSES)
    assert (after.source, after.latency_ms, after.measured_ms) == ("measured", value, value)
    assert after.predicted_ms == pytest.approx(value, rel=0.05)
    assert after.low_ms == pytest.approx(value * math.exp(-0.0196))


def test_what_is_observed_moves_what_is_predicted() -> None:
    slow = MadeDevice(per_piece=0.06)
    own = predictor(8)
    unseen = members("wired_cnn", 30, seed=3)
    for network in measured(slow, members("wired_cnn", 40, seed=4)):
        own.observe(network.architecture, network.latency_ms)
    true = [each.latency_ms for each in measured(slow, unseen)]
    found = [each.latency_ms for each in own.predict_all(unseen)]
    assert np.median(np.abs(np.array(found) / true - 1)) < 0.1


def test_other_devices_make_a_few_measurements_do() -> None:
    others = [measured(each, members("wired_cnn", 30, seed=9), 0.01) for each in OTHERS]
    unseen = members("wired_cnn", 50, seed=5)
    true = np.array([each.latency_ms for each in measured(DEVICE, unseen)])
    off = {"cold": [], "learned": []}
    for seed in range(2):
        few = measured(DEVICE, members("wired_cnn", 6, 20 + seed), 0.01, seed)
        for name, known in (("cold", []), ("learned", others)):
            own = LatencyPredictor(few, SHAPE, CLASSES, others=known)
            found = np.array([each.latency_ms for each in own.predict_all(unseen)])
            off[name].append(np.abs(np.log(found / true)).mean())
    assert np.mean(off["learned"]) < np.mean(off["cold"])


def test_what_a_device_prunes_is_not_paid_for() -> None:
    device = MadeDevice(prunes=True)
    own = LatencyPredictor(measured(device, members("nasbench201", 60), 0.01), SHAPE, CLASSES)
    unseen = members("nasbench201", 60, seed=1)
    true = [each.latency_ms for each in measured(device, unseen)]
    found = [each.latency_ms for each in own.predict_all(unseen)]
    assert np.mean(np.abs(np.array(found) / true - 1) <= 0.1) > 0.8


def test_pieces_never_measured_are_flagged_and_widen_the_interval() -> None:
    own = predictor(40)
    known = own.predict(members("wired_cnn", 1, seed=7)[0], SHAPE, CLASSES)
    other = own.predict(members("nasbench201", 1, seed=7)[0], SHAPE, CLASSES)
    assert "unknown_pieces" in other.flags
    assert known.flags == ()
    assert other.high_ms / other.low_ms > 2 * known.high_ms / known.low_ms


def test_a_network_unlike_all_measured_ones_is_flagged() -> None:
    ordered = sorted(measured(DEVICE, members("wired_cnn", 60)), key=lambda own: own.latency_ms)
    own = LatencyPredictor(ordered[:20], SHAPE, CLASSES)
    assert "outside" in own.predict(ordered[-1].architecture, SHAPE, CLASSES).flags


def test_another_input_is_refused() -> None:
    network = members("wired_cnn", 1)[0]
    with pytest.raises(ConfigError, match=r"measured at 3x32x32 and 10 classes, not at 1x8x8"):
        predictor(8).predict(network, (1, 8, 8), CLASSES)


def test_three_networks_predict_nothing() -> None:
    with pytest.raises(ConfigError, match=r"3 networks are measured; a prediction needs 4"):
        predictor(3).predict_all(members("wired_cnn", 1))
    assert predictor(3).predict_all([]) == []


@pytest.mark.parametrize("latency_ms", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_latency_is_refused(latency_ms: float) -> None:
    with pytest.raises(ConfigError, match=r"latency of .* ms is not possible"):
        predictor(8).observe(members("wired_cnn", 1)[0], latency_ms)


def test_an_impossible_error_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"relative error of nan is not possible"):
        MeasuredNetwork(members("wired_cnn", 1)[0], 1.0, math.nan)


def test_absurd_latencies_give_numbers_all_the_same() -> None:
    networks = members("wired_cnn", 12)
    own = LatencyPredictor(
        [MeasuredNetwork(each, 10.0 ** (index % 3 * 6 - 6)) for index, each in enumerate(networks)],
        SHAPE,
        CLASSES,
    )
    for found in own.predict_all(members("wired_cnn", 5, seed=1)):
        assert math.isfinite(found.low_ms)
        assert 0 < found.low_ms <= found.latency_ms <= found.high_ms


def test_quality_and_pieces_say_what_the_device_is_like() -> None:
    own = predictor(80, noise=0.01)
    quality = own.quality()
    assert quality.networks == 80
    assert quality.within_10_percent > 0.95
    assert quality.spearman > 0.98
    assert quality.median_error < 0.03
    assert 0.85 < quality.inside <= 1
    taken = {(piece.kind, piece.name, piece.source): ms for piece, ms in own.piece_latencies()}
    assert taken["operation", "conv3x3", (16, 32, 32)] > taken["operation", "conv1x1", (16, 32, 32)]
