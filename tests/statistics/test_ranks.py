"""Rank statistics: the worked example of Demsar (2006), scipy, and laws that always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nas.errors import ConfigError
from nas.statistics.ranks import (
    block_ranks,
    cliques,
    critical_difference,
    friedman,
    mean_ranks,
    signed_rank,
)

# Demsar (2006), table 6: AUC of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 data sets.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.975, 0.9749],  # printed as 0.975 twice, ranked 2 and 3
        [0.957, 0.978, 0.946, 0.970],
    ]
)

# Demsar (2006), table 5(a): critical values of the two-tailed Nemenyi test, 2 to 10 methods.
NEMENYI = {
    0.05: (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164),
    0.10: (1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920),
}

tables = st.tuples(st.integers(2, 12), st.integers(3, 8), st.integers(0, 2**32 - 1)).map(
    lambda each: np.random.default_rng(each[2]).random(each[:2])
)


def test_the_mean_ranks_of_the_published_example() -> None:
    assert np.round(mean_ranks(-DEMSAR), 3).tolist() == [3.143, 2.000, 2.893, 1.964]


def test_the_friedman_statistics_of_the_published_example() -> None:
    # The paper does without the correction for ties: 9.28 and 3.69 from the rounded ranks.
    ranks = mean_ranks(-DEMSAR)
    plain = 12 * 14 / (4 * 5) * (np.square(ranks).sum() - 4 * 25 / 4)
    assert round(plain, 2) == 9.28
    assert round(13 * plain / (14 * 3 - plain), 2) == 3.69
    found = friedman(-DEMSAR)
    assert found.chi_square > plain  # ties narrow the spread of ranks
    assert found.f_p_value < 0.05


def test_the_critical_difference_of_the_published_example() -> None:
    assert round(critical_difference(4, 14, 0.05), 2) == 1.25
    assert round(critical_difference(4, 14, 0.10), 2) == 1.12


@pytest.mark.parametrize("alpha", list(NEMENYI))
def test_the_nemenyi_quantiles_are_the_published_ones(alpha: float) -> None:
    for methods, published in enumerate(NEMENYI[alpha], start=2):
        unit = (methods * (methods + 1) / 6) ** 0.5
        assert critical_difference(methods, 1, alpha) / unit == pytest.approx(published, abs=1.1e-3)


def test_the_sums_of_signed_ranks_of_the_published_example() -> None:
    # Section 3.1.3: 93 and 12, where two zero differences of rank 1.5 are shared out. Without them
    # every rank is lower by 2: 12 - 1.5 - 2 * 2 and 93 - 1.5 - 10 * 2.
    found = signed_rank(np.round(DEMSAR[:, 1] - DEMSAR[:, 0], 6))
    assert (found.pairs, found.negative, found.positive) == (12, 6.5, 71.5)
    assert found.p_value < 0.05


@given(tables)
def test_friedman_agrees_with_scipy(values: np.ndarray) -> None:
    found, known = friedman(values), stats.friedmanchisquare(*values.T)
    assert found.chi_square == pytest.approx(known.statistic, abs=1e-9)
    assert found.p_value == pytest.approx(known.pvalue, abs=1e-9)


@given(tables)
def test_friedman_agrees_with_scipy_where_values_are_tied(values: np.ndarray) -> None:
    tied = np.round(3 * values)
    if (tied == tied[:, :1]).all():
        return
    known = stats.friedmanchisquare(*tied.T)
    assert friedman(tied).chi_square == pytest.approx(known.statistic, abs=1e-9)


def test_iman_davenport_is_the_analysis_of_variance_of_the_ranks() -> None:
    ranks = block_ranks(np.random.default_rng(3).random((7, 4)))
    blocks, methods = ranks.shape
    between = blocks * np.square(ranks.mean(0) - ranks.mean()).sum() / (methods - 1)
    rest = ranks - ranks.mean(0) - ranks.mean(1, keepdims=True) + ranks.mean()
    within = np.square(rest).sum() / ((methods - 1) * (blocks - 1))
    assert friedman(ranks).f_statistic == pytest.approx(between / within)


def test_blocks_that_agree_wholly_leave_no_doubt_and_ties_leave_all() -> None:
    agreed = friedman([[1, 2, 3]] * 4)
    assert agreed.to_dict()["f_statistic"] is None
    assert agreed.f_p_value == 0
    assert friedman(np.ones((4, 3))).p_value == 1


@given(st.lists(st.integers(-8, 8), min_size=1, max_size=10))
def test_signed_ranks_agree_with_counting_all_signs(differences: list[int]) -> None:
    found = signed_rank(differences)
    kept = np.array([each for each in differences if each])
    if len(kept) == 0:
        assert found.p_value == 1
        return
    ranks = stats.rankdata(np.abs(kept))
    signs = np.array(np.meshgrid(*[[0, 1]] * len(kept))).reshape(len(kept), -1)
    smaller = min(found.positive, found.negative)
    chance = 2 * np.mean(ranks @ signs <= smaller + 1e-9)
    assert found.p_value == pytest.approx(min(1, chance))


def test_signed_ranks_agree_with_scipy_without_ties() -> None:
    rng = np.random.default_rng(5)
    for count in (5, 12, 30):
        differences = rng.normal(0.3, 1, count)
        known = stats.wilcoxon(differences, method="exact")
        assert signed_rank(differences).p_value == pytest.approx(known.pvalue)


def test_five_pairs_never_reach_one_in_twenty() -> None:
    assert signed_rank([1, 2, 3, 4, 5]).p_value == pytest.approx(0.0625)


@given(st.lists(st.floats(1, 9), min_size=2, max_size=9), st.floats(0.01, 5))
def test_cliques_hold_exactly_the_pairs_that_are_not_told_apart(
    ranks: list[float], difference: float
) -> None:
    found = cliques(ranks, difference)
    together = {frozenset((a, b)) for group in found for a in group for b in group if a != b}
    places = range(len(ranks))
    close = {
        frozenset((a, b))
        for a in places
        for b in places
        if a != b and abs(ranks[a] - ranks[b]) < difference
    }
    assert together == close
    assert not any(set(a) < set(b) for a in found for b in found)


def test_the_cliques_of_the_published_example() -> None:
    ranks = mean_ranks(-DEMSAR).tolist()
    assert cliques(ranks, critical_difference(4, 14)) == [(3, 1, 2, 0)]
    assert cliques(ranks, critical_difference(4, 14, 0.10)) == [(3, 1, 2), (2, 0)]


def test_what_cannot_be_ranked_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"shape \(3,\).*at least 2 methods"):
        mean_ranks([1, 2, 3])
    with pytest.raises(ConfigError, match="not finite"):
        mean_ranks([[1, np.nan]])
    with pytest.raises(ConfigError, match="1 block cannot be tested"):
        friedman([[1, 2]])
    with pytest.raises(ConfigError, match="No critical difference of 1 methods"):
        critical_difference(1, 3)
    with pytest.raises(ConfigError, match="1001 differences cannot be tested"):
        signed_rank(np.ones(1001))
