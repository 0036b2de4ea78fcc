"""Fronts of noisy points against closed forms, brute force and simulations whose truth is known."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scale import scaled

from nas.errors import ConfigError
from nas.pareto import (
    Noise,
    apart,
    contenders,
    front_probabilities,
    hypervolume,
    hypervolume_interval,
    knee,
    knee_probabilities,
    non_dominated,
    normal_quantile,
    reference_point,
    shrink,
    tie_groups,
)
from nas.pareto.uncertainty import MANY

Floats = NDArray[np.float64]
DRAWS = 20_000

_coarse = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0])


@st.composite
def drawn(draw: st.DrawFn) -> Floats:
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 9)), draw(st.integers(1, 4)))
    return draw(arrays(np.float64, shape, elements=_coarse))


def below(first: float, second: float, error: float) -> float:
    """Probability that a normal value lies below another."""
    return NormalDist().cdf((second - first) / error)


# ---------------------------------------------------------------- probability of being on the front


def test_two_normal_points_have_the_product_form() -> None:
    a, b = np.array([1.0, 2.0]), np.array([1.3, 1.8])
    errors = np.array([[0.2, 0.3], [0.25, 0.1]])
    draws = np.stack(
        [Noise.of(errors[:, k]).draw([a[k], b[k]], DRAWS, seed=k) for k in range(2)], axis=2
    )
    found = front_probabilities(draws)
    wins = [below(b[k], a[k], float(np.hypot(*errors[:, k]))) for k in range(2)]
    assert found[0] == pytest.approx(1 - wins[0] * wins[1], abs=0.012)
    assert found[1] == pytest.approx(1 - (1 - wins[0]) * (1 - wins[1]), abs=0.012)


def test_errors_that_are_shared_leave_the_order_sure() -> None:
    values = np.array([1.0, 1.05, 1.1])
    shared = Noise.paired([0.5, 0.5, 0.5], np.ones((3, 1)))
    alone = Noise.of([0.5, 0.5, 0.5])
    draws = shared.draw(values, 500, seed=1)[:, :, None]
    assert front_probabilities(draws).tolist() == [1.0, 0.0, 0.0]
    loose = front_probabilities(alone.draw(values, 500, seed=1)[:, :, None])
    assert ((loose > 0.2) & (loose < 0.45)).all()


@given(drawn(), st.integers(0, 2**31))
def test_probabilities_equal_counting_the_fronts_of_the_draws(draws: Floats, seed: int) -> None:
    feasible = np.random.default_rng(seed).random(draws.shape[:2]) < 0.7
    counted = np.mean(
        [non_dominated(each, mask) for each, mask in zip(draws, feasible, strict=True)], axis=0
    )
    assert front_probabilities(draws, feasible) == pytest.approx(counted)


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_many_points_have_the_probabilities_that_counting_gives(columns: int) -> None:
    rng = np.random.default_rng(columns)
    draws = rng.normal(size=(6, MANY + 50, columns)).round(1)  # rounded: many are equal
    feasible = rng.random(draws.shape[:2]) < 0.7
    feasible[0] = False
    counted = np.mean(
        [non_dominated(each, mask) for each, mask in zip(draws, feasible, strict=True)], axis=0
    )
    assert (front_probabilities(draws, feasible) == counted).all()


@given(drawn())
def test_one_mask_for_all_draws_is_the_mask_of_each(draws: Floats) -> None:
    mask = np.arange(draws.shape[1]) % 2 == 0
    repeated = np.tile(mask, (len(draws), 1))
    assert (front_probabilities(draws, mask) == front_probabilities(draws, repeated)).all()
    assert not front_probabilities(draws, mask)[1::2].any()


@pytest.mark.fault("E6")
@given(drawn(), st.randoms())
def test_probabilities_do_not_depend_on_the_order_of_points(draws: Floats, random: object) -> None:
    order = np.random.default_rng(draws.shape[1]).permutation(draws.shape[1])
    assert (front_probabilities(draws)[order] == front_probabilities(draws[:, order])).all()


@given(drawn(), st.floats(0, 0.3))
def test_no_contender_is_lost(draws: Floats, error: float) -> None:
    values = draws[0]
    errors = np.full(values.shape, error)
    kept = contenders(values, errors)
    assert kept[non_dominated(values)].all()
    noisy = np.stack(
        [Noise.of(errors[:, k]).draw(values[:, k], 200, k) for k in range(values.shape[1])], axis=2
    )
    assert (front_probabilities(noisy)[~kept] <= 0.005).all()
    assert contenders(values, errors * 0).tolist() == non_dominated(values).tolist()


def test_what_may_be_infeasible_keeps_nobody_away() -> None:
    points = [[1.0, 1.0], [2.0, 2.0]]
    assert contenders(points, np.zeros((2, 2))).tolist() == [True, False]
    assert contenders(points, np.zeros((2, 2)), np.array([False, True])).tolist() == [True, True]


# ---------------------------------------------------------------- noise


@given(arrays(np.float64, (4, 3), elements=st.floats(-5, 5)), st.integers(0, 99))
def test_draws_have_the_stated_errors_and_differences(loadings: Floats, seed: int) -> None:
    errors = np.array([0.0, 0.5, 1.0, 2.0])
    noise = Noise.paired(errors, loadings)
    draws = noise.draw(np.zeros(4), 4000, seed)
    assert draws.std(axis=0) == pytest.approx(errors, rel=0.08, abs=1e-9)
    differences = noise.of_differences()
    for first in range(4):
        for second in range(4):
            spread = (draws[:, first] - draws[:, second]).std()
            assert spread == pytest.approx(differences[first, second], rel=0.08, abs=1e-6)


def test_the_same_seed_gives_the_same_draws_and_exact_values_stay() -> None:
    noise = Noise.of([0.0, 1.0])
    one, other = noise.draw([3.0, 4.0], 5, 7), noise.draw([3.0, 4.0], 5, 7)
    assert (one == other).all() and (one[:, 0] == 3.0).all()
    assert (noise.draw([3.0, 4.0], 5, 8) != one)[:, 1].any()


@pytest.mark.parametrize("errors", [[-1.0], [float("nan")], [[1.0]]])
def test_errors_that_are_none_are_refused(errors: list[float]) -> None:
    with pytest.raises(ConfigError, match="at least 0"):
        Noise.of(errors)


def test_loadings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="loadings have shape"):
        Noise.of([1.0], [[1.0], [1.0]])
    with pytest.raises(ConfigError, match="loadings have shape"):
        Noise.paired([1.0], [[1.0], [1.0]])


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, float("nan")])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        normal_quantile(level)


def test_quantiles_are_the_normal_ones() -> None:
    assert normal_quantile(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert normal_quantile(0.95, 2) == pytest.approx(2.236, abs=1e-3)


# ---------------------------------------------------------------- shrinkage


def simulated(rng: np.random.Generator, points: int = 40) -> tuple[Floats, Floats, Floats, Floats]:
    """Return a feature, true values around a line, their errors and what was seen."""
    feature = rng.normal(size=points)
    truth = 2.0 + 0.5 * feature + rng.normal(scale=0.3, size=points)
    errors = rng.uniform(0.1, 0.6, size=points)
    return feature[:, None], truth, errors, truth + errors * rng.normal(size=points)


def test_shrunken_values_are_nearer_to_the_truth() -> None:
    rng = np.random.default_rng(0)
    raw, mean_only, regressed, oracle = [], [], [], []
    for _ in range(scaled(300)):
        feature, truth, errors, seen = simulated(rng)
        noise = Noise.of(errors)
        raw.append(np.square(seen - truth).mean())
        mean_only.append(np.square(shrink(seen, noise).values - truth).mean())
        regressed.append(np.square(shrink(seen, noise, feature).values - truth).mean())
        line, share = 2.0 + 0.5 * feature[:, 0], errors**2 / (errors**2 + 0.09)
        oracle.append(np.square(share * line + (1 - share) * seen - truth).mean())
    assert np.mean(regressed) < np.mean(mean_only) < np.mean(raw)
    assert np.mean(regressed) < 0.6 * np.mean(raw)
    # Who knows the line and the spread gains little more.
    assert np.mean(regressed) < 1.25 * np.mean(oracle)


def test_shrunken_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(1)
    inside, smaller = [], []
    for _ in range(scaled(300)):
        feature, truth, errors, seen = simulated(rng, 25)
        found = shrink(seen, Noise.of(errors), feature)
        smaller.append(found.noise.errors < errors)
        inside.append(np.abs(found.values - truth) < 1.96 * found.noise.errors)
    assert 0.93 < np.mean(inside) < 0.98
    assert np.mean(smaller) > 0.9


def test_the_luckiest_of_equals_is_drawn_back() -> None:
    rng = np.random.default_rng(2)
    lucky = [
        (seen.min(), shrink(seen, Noise.of(np.ones(30))).values[seen.argmin()])
        for seen in rng.normal(size=(scaled(300), 30))
    ]
    best, shrunken = np.mean(lucky, axis=0)
    assert best < -1.8 and -0.6 < shrunken < 0


def test_shared_errors_are_no_reason_to_shrink() -> None:
    rng = np.random.default_rng(3)
    truth = np.linspace(0, 1, 30)
    noise = Noise.paired(np.full(30, 2.0), np.ones((30, 1)))  # every score is off by the same
    found = shrink(truth + 2.0 * rng.normal(), noise)
    assert np.allclose(np.diff(found.values), np.diff(truth), atol=1e-6)
    assert found.noise.of_differences().max() < 1e-3
    assert found.noise.errors == pytest.approx(np.full(30, 2.0), rel=0.3)


@given(
    arrays(np.float64, 8, elements=st.floats(-100, 100)),
    arrays(np.float64, 8, elements=st.floats(0.01, 10)),
    st.floats(0.1, 10),
    st.floats(-5, 5),
)
def test_shrinking_knows_no_unit(values: Floats, errors: Floats, unit: float, zero: float) -> None:
    one = shrink(values, Noise.of(errors))
    other = shrink(unit * values + zero, Noise.of(unit * errors))
    assert other.values == pytest.approx(unit * one.values + zero, rel=1e-4, abs=1e-4 * unit)
    assert ((one.weights >= 0) & (one.weights <= 1)).all()


def test_exact_values_and_few_points_are_left_as_they_are() -> None:
    assert shrink([1.0, 2.0, 9.0], Noise.of([1.0, 1.0, 1.0])).values.tolist() == [1.0, 2.0, 9.0]
    exact = shrink(np.arange(9.0), Noise.of(np.zeros(9)))
    assert exact.values.tolist() == list(range(9)) and not exact.noise.errors.any()
    some = shrink(np.arange(9.0), Noise.of([0.0] + [3.0] * 8))
    assert some.values[0] == pytest.approx(0.0, abs=1e-6) and some.noise.errors[0] == 0
    assert shrink([], Noise.of([])).values.tolist() == []


def test_an_exact_value_among_noisy_ones_is_left_where_it_is() -> None:
    errors = np.array([0.0, *[0.3] * 9])
    loadings = np.outer(errors, [0.8, 0.0])
    found = shrink(np.random.default_rng(1).normal(size=10), Noise.of(errors, loadings))
    assert found.values[0] == np.random.default_rng(1).normal(size=10)[0]
    assert found.noise.errors[0] == 0.0 and found.weights[0] == 0.0 and found.weights[1:].all()


def test_constant_and_repeated_features_do_no_harm() -> None:
    rng = np.random.default_rng(4)
    feature, _, errors, seen = simulated(rng)
    noise = Noise.of(errors)
    wide = np.concatenate([feature, np.ones_like(feature), 3 * feature], axis=1)
    assert shrink(seen, noise, wide).values == pytest.approx(shrink(seen, noise, feature).values)


def test_values_and_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs one error"):
        shrink([1.0, 2.0], Noise.of([1.0]))
    with pytest.raises(ConfigError, match="needs one error"):
        shrink([float("inf")], Noise.of([1.0]))
    with pytest.raises(ConfigError, match="features have shape"):
        shrink([1.0], Noise.of([1.0]), [1.0])


# ---------------------------------------------------------------- ties


@pytest.mark.fault("E6")
def test_ties_are_differences_within_noise() -> None:
    points = [[1.0, 5.0], [1.1, 5.0], [2.0, 5.0], [1.0, 6.0]]
    noise = [Noise.of([0.1] * 4), Noise.of([0.0] * 4)]
    separate = apart(points, noise)
    assert not separate[0, 1] and separate[0, 2] and separate[1, 2] and separate[0, 3]
    assert (separate == separate.T).all() and not separate.diagonal().any()
    assert tie_groups(separate).tolist() == [0, 0, 1, 2]


def test_equal_points_are_told_apart_in_one_of_twenty_cases() -> None:
    rng = np.random.default_rng(5)
    errors = np.array([0.5, 2.0])
    noise = [Noise.of([error] * 2) for error in errors]
    found = [apart(rng.normal(size=(2, 2)) * errors, noise)[0, 1] for _ in range(scaled(20_000))]
    assert np.mean(found) == pytest.approx(0.05, abs=0.012)


@given(arrays(np.float64, (7, 2), elements=_coarse), st.floats(0.05, 2))
def test_no_two_of_a_tie_group_are_apart(points: Floats, error: float) -> None:
    separate = apart(points, [Noise.of([error] * 7), Noise.of([error] * 7)])
    groups = tie_groups(separate)
    for first in range(7):
        assert not separate[first, groups == groups[first]].any()
    assert set(groups) == set(range(max(groups) + 1))


# ---------------------------------------------------------------- hypervolume and knee


def test_the_hypervolume_of_one_point_has_the_normal_interval() -> None:
    draws = np.stack([Noise.of([0.1]).draw([1.0], DRAWS, 0), np.full((DRAWS, 1), 1.0)], axis=2)
    found = hypervolume_interval(draws, [2.0, 3.0])
    assert found.value == pytest.approx(2.0, abs=0.01)
    assert (found.low, found.high) == pytest.approx((2 - 0.392, 2 + 0.392), abs=0.02)


def test_a_hypervolume_interval_of_shrunken_values_holds_the_true_volume() -> None:
    rng = np.random.default_rng(6)
    held, plain = [], []
    for repeat in range(scaled(300)):
        cost = np.sort(rng.uniform(0, 1, 40))
        truth = 1 - 0.5 * cost + rng.normal(scale=0.1, size=40)
        noise = Noise.of(np.full(40, 0.1))
        seen = truth + 0.1 * rng.normal(size=40)
        reference = reference_point(np.stack([seen, cost], axis=1))
        chosen = non_dominated(np.stack([seen, cost], axis=1))
        volume = hypervolume(np.stack([truth, cost], axis=1)[chosen], reference)
        plain.append(hypervolume(np.stack([seen, cost], axis=1)[chosen], reference) - volume)
        found = shrink(seen, noise, cost[:, None])
        drawn = found.noise.draw(found.values, 200, repeat)
        draws = np.stack([drawn, np.tile(cost, (200, 1))], axis=2)[:, chosen]
        interval = hypervolume_interval(draws, reference)
        held.append(interval.low <= volume <= interval.high)
    assert np.mean(plain) > 0.02  # a front of noisy values looks larger than it is
    assert 0.75 < np.mean(held) < 0.995  # 0.85 of 300: the choice of points costs some


def test_draws_without_noise_find_the_knee() -> None:
    points = np.array([[0.0, 1.0], [0.2, 0.2], [1.0, 0.0]])
    draws = np.tile(points, (3, 1, 1))
    assert knee_probabilities(draws).tolist() == [0.0, 1.0, 0.0]
    assert knee(points) == 1


def test_a_knee_is_scaled_over_the_front_of_its_draw() -> None:
    front = np.array([[0.0, 1.0], [0.4, 0.45], [1.0, 0.0]])
    # Scaled over all points, the second objective would hardly count, and the first point win.
    points = np.concatenate([front, [[0.5, 100.0]]])
    assert knee(points) == 1
    assert knee_probabilities(points[None]).tolist() == [0.0, 1.0, 0.0, 0.0]


def test_a_knee_within_noise_is_shared() -> None:
    points = np.array([[0.0, 1.0], [0.2, 0.3], [0.3, 0.2], [1.0, 0.0]])
    noise = Noise.of([0.05] * 4)
    draws = np.stack([noise.draw(points[:, k], 2000, k) for k in range(2)], axis=2)
    found = knee_probabilities(draws)
    assert found[1:3] == pytest.approx([0.5, 0.5], abs=0.06)
    assert found.sum() == pytest.approx(1.0)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="draws have shape"):
        front_probabilities(np.zeros((2, 2)))
    with pytest.raises(ConfigError, match="draws have shape"):
        knee_probabilities(np.full((1, 1, 1), np.nan))
    with pytest.raises(ConfigError, match="'feasible' has shape"):
        front_probabilities(np.zeros((2, 3, 2)), np.ones(2, dtype=bool))
    with pytest.raises(ConfigError, match="at least 1 draw"):
        hypervolume_interval(np.zeros((0, 3, 2)), [1.0, 1.0])
    with pytest.raises(ConfigError, match="errors of shape"):
        contenders(np.zeros((2, 2)), np.zeros(2))
    with pytest.raises(ConfigError, match="noises for points"):
        apart(np.zeros((2, 2)), [Noise.of([1.0, 1.0])])
