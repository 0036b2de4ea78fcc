"""Rank correlations against scipy, their intervals against simulation, and the noise of a truth."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scale import scaled
from scipy.stats import kendalltau, spearmanr

from nas.supernet.trust.correlation import (
    METHODS,
    NOTHING,
    MemberPairs,
    Method,
    kendall_tau,
    mean_draws,
)
from nas.supernet.trust.noise import Noise, pooled_noise, random_regret, top_regret

SCIPY = {"tau": kendalltau, "spearman": spearmanr}
COLUMNS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=30)


@pytest.mark.parametrize("method", METHODS)
@given(rows=COLUMNS)
def test_over_all_pairs_it_is_scipys_with_any_ties(
    method: Method, rows: list[tuple[int, int]]
) -> None:
    first, second = ([float(row[place]) for row in rows] for place in (0, 1))
    if len(set(first)) == 1 or len(set(second)) == 1:
        return
    expected = float(SCIPY[method](first, second).statistic)
    pairs = MemberPairs(["a"] * len(rows), samples=0)
    assert pairs.correlate(method, first, second).value == pytest.approx(expected, abs=1e-12)
    assert kendall_tau(first, second) == pytest.approx(
        float(kendalltau(first, second).statistic), abs=1e-12
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_bootstrap_sample_is_the_statistic_of_the_repeated_members(method: Method) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 9, 20), rng.integers(0, 9, 20)
    pairs = MemberPairs(["a"] * 20, samples=7, seed=3)
    drawn = pairs.correlate(method, first.astype(float), second.astype(float)).drawn
    for weights, found in zip(pairs._weights[1:].astype(int), drawn, strict=True):
        expected = SCIPY[method](np.repeat(first, weights), np.repeat(second, weights)).statistic
        assert found == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_of_one_family_within_is_all_and_there_is_nothing_between(method: Method) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=12), rng.normal(size=12)
    pairs = MemberPairs(["a"] * 12)
    whole = pairs.correlate(method, first, second)
    assert pairs.correlate(method, first, second, "within").value == pytest.approx(whole.value)
    nothing = pairs.correlate(method, first, second, "between").estimate()
    assert nothing.to_dict() == {"value": None, "low": None, "high": None} == NOTHING.to_dict()
    assert str(nothing) == "-" and not nothing.known


@pytest.mark.parametrize("method", METHODS)
def test_within_families_an_offset_per_family_changes_nothing(method: Method) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=30), rng.normal(size=30)
    families = ["abc"[index % 3] for index in range(30)]
    moved = first + np.asarray([{"a": 0.0, "b": 50.0, "c": -9.0}[name] for name in families])
    pairs = MemberPairs(families)
    plain, offset = (pairs.correlate(method, x, second, "within") for x in (first, moved))
    assert offset.value == pytest.approx(plain.value, abs=1e-12)
    assert offset.drawn == pytest.approx(plain.drawn, abs=1e-12)


def test_within_and_between_see_different_pairs() -> None:
    pairs = MemberPairs(["a", "a", "b", "b"])
    truth, reversed_within = [1.0, 2.0, 11.0, 12.0], [2.0, 1.0, 12.0, 11.0]
    inside, across = (
        pairs.correlate("tau", reversed_within, truth, each).value for each in ("within", "between")
    )
    assert (inside, across) == (pytest.approx(-1), pytest.approx(1))
    assert [pairs.count(each) for each in ("all", "within", "between")] == [6, 2, 4]


def test_open_pairs_are_left_out_and_counted() -> None:
    truth = [0.0, 1.0, 1.1, 3.0]
    noise = Noise(spread=0.1, seeds=2)
    assert noise.standard_error == pytest.approx(0.1 / math.sqrt(2))
    assert noise.threshold == pytest.approx(0.2)  # 2 sqrt(0.1^2 / 2 + 0.1^2 / 2)
    pairs = MemberPairs(["a"] * 4, noise.open_pairs(truth))
    assert pairs.count("all") - pairs.count("all", resolvable=True) == 1
    swapped = [0.0, 2.0, 1.0, 3.0]
    assert pairs.correlate("tau", swapped, truth).value == pytest.approx(4 / 6)
    assert pairs.correlate("tau", swapped, truth, resolvable=True).value == pytest.approx(1)


@pytest.mark.parametrize("method", METHODS)
def test_the_interval_covers_the_truth_about_as_often_as_it_says(method: Method) -> None:
    """Bivariate normal: tau is 2/pi asin(rho), Spearman's rho 6/pi asin(rho/2)."""
    rho = 0.6
    exact = {"tau": 2 / math.pi * math.asin(rho), "spearman": 6 / math.pi * math.asin(rho / 2)}
    rng = np.random.default_rng(0)
    trials, hits = scaled(1000), 0
    for trial in range(trials):
        x = rng.normal(size=60)
        y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=60)
        pairs = MemberPairs(["a"] * 30 + ["b"] * 30, samples=300, seed=trial)
        found = pairs.correlate(method, x, y).estimate()
        hits += found.low <= exact[method] <= found.high
    assert 0.88 <= hits / trials <= 0.99


def test_a_paired_difference_is_sharper_than_two_intervals_and_zero_for_equals() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=60)
    first = truth + rng.normal(size=60)
    second = first + 0.2 * rng.normal(size=60)
    pairs = MemberPairs(["a"] * 60)
    ours, theirs = (pairs.correlate("tau", each, truth) for each in (first, second))
    lead = (ours - theirs).estimate()
    apart = ours.estimate()
    assert lead.high - lead.low < 0.5 * (apart.high - apart.low)
    same = (ours - ours).estimate()
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert mean_draws([ours, theirs]).value == pytest.approx((ours.value + theirs.value) / 2)


def test_noise_is_pooled_over_members_and_estimates_the_spread() -> None:
    rng = np.random.default_rng(0)
    trainings = [tuple(mean + 0.3 * rng.normal(size=2)) for mean in rng.normal(size=2000)]
    assert pooled_noise(trainings).spread == pytest.approx(0.3, rel=0.05)
    assert pooled_noise([(1.0, 3.0), (5.0, 5.0)]).spread == pytest.approx(1.0)


def test_regret_is_that_of_the_best_of_the_predicted_top() -> None:
    truth = [0.5, 0.1, 0.4, 0.3, 0.2, 0.6, 0.7]
    assert top_regret([-t for t in truth], truth, 2) == pytest.approx(0.5)
    assert top_regret(truth, truth) == 0
    assert top_regret([1.0, 9.0, 2.0, 3.0, 8.0, 4.0, 5.0], truth) == pytest.approx(0.2)


@given(st.lists(st.integers(0, 20), min_size=3, max_size=9), st.integers(1, 5))
def test_random_regret_is_the_mean_over_all_choices(truth: list[int], top: int) -> None:
    chosen = list(combinations(truth, min(top, len(truth))))
    expected = sum(min(each) for each in chosen) / len(chosen) - min(truth)
    assert random_regret([float(t) for t in truth], top) == pytest.approx(expected, abs=1e-9)
