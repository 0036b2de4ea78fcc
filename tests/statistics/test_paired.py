"""Paired differences against closed forms, scipy and enumeration; Holm against closed testing."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nas.errors import ConfigError
from nas.statistics import holm, paired_difference, sign_flip

numbers = st.floats(-10, 10, allow_nan=False)
p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=6)


def rows(least: int = 2, most: int = 9) -> st.SearchStrategy[list[tuple[float, float]]]:
    return st.lists(st.tuples(numbers, numbers), min_size=least, max_size=most)


def test_two_pairs_have_the_cauchy_interval() -> None:
    found = paired_difference([1.0, 4.0], [0.0, 1.0])
    error = math.sqrt(2) / math.sqrt(2)
    half = math.tan(math.pi * 0.475) * error
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))
    assert found.p_value == pytest.approx(1 - 2 / math.pi * math.atan(2 / error))
    assert found.p_sign_flip == 0.5


@given(rows())
def test_the_difference_is_that_of_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    first, second = zip(*pairs, strict=True)
    differences = [one - other for one, other in pairs]
    if statistics.stdev(differences) < 1e-6:
        return
    found = paired_difference(first, second)
    reference = stats.ttest_rel(first, second)
    interval = reference.confidence_interval(0.95)
    assert found.p_value == pytest.approx(reference.pvalue, rel=1e-6, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6)
    assert found.mean == pytest.approx(statistics.fmean(differences), abs=1e-12)


@given(rows())
def test_the_interval_excludes_0_exactly_where_p_is_below_its_level(
    pairs: list[tuple[float, float]],
) -> None:
    first, second = zip(*pairs, strict=True)
    found = paired_difference(first, second, resolution=1e-3)
    if abs(found.p_value - 0.05) > 1e-9:
        assert (found.low > 0 or found.high < 0) == (found.p_value < 0.05)
    swapped = paired_difference(second, first, resolution=1e-3)
    assert swapped.mean == pytest.approx(-found.mean)
    assert swapped.p_value == pytest.approx(found.p_value)


@given(rows(most=6))
def test_flipping_signs_is_enumeration(pairs: list[tuple[float, float]]) -> None:
    values = [one - other for one, other in pairs]
    seen = abs(math.fsum(values))
    flips = itertools.product((1, -1), repeat=len(values))
    sums = [
        abs(math.fsum(sign * each for sign, each in zip(signs, values, strict=True)))
        for signs in flips
    ]
    reference = statistics.fmean(total >= seen * (1 - 1e-9) - 1e-9 for total in sums)
    assert sign_flip(values) <= reference + 1e-12
    assert sign_flip(values) >= 2 / 2 ** len(values)


def test_flipping_signs_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).normal(0.4, 1, 8)
    reference = stats.permutation_test((values,), np.mean, permutation_type="samples")
    assert sign_flip(values.tolist()) == pytest.approx(reference.pvalue)


def test_many_pairs_are_flipped_at_random_and_always_alike() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 30).tolist()
    reference = stats.ttest_1samp(values, 0).pvalue
    assert sign_flip(values) == sign_flip(values)
    assert sign_flip(values) == pytest.approx(reference, abs=0.02)
    assert sign_flip([1.0] * 40) > 0


def test_equal_differences_are_not_known_better_than_their_scale() -> None:
    first, second = [0.02] * 5, [0.04] * 5
    assert paired_difference(first, second).p_value == 0
    coarse = paired_difference(first, second, resolution=0.02)
    assert coarse.deviation == pytest.approx(0.02 / math.sqrt(6))
    assert coarse.p_value > 0
    assert paired_difference(first, first).p_value == 1


def test_what_cannot_be_paired_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"1 pair has no spread[\s\S]*at least 5"):
        paired_difference([1.0], [2.0])
    with pytest.raises(ConfigError, match="2 figures cannot be paired with 3"):
        paired_difference([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ConfigError, match="not finite"):
        paired_difference([1.0, math.nan], [1.0, 2.0])
    with pytest.raises(ConfigError, match="confidence is 95"):
        paired_difference([1.0, 2.0], [1.0, 2.0], confidence=95)


def test_a_published_example_of_holm() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()
    with pytest.raises(ConfigError, match=r"p-value is 1\.5"):
        holm([0.1, 1.5])


@given(p_lists)
def test_holm_is_the_closed_test_of_bonferroni(p_values: list[float]) -> None:
    count = len(p_values)
    for place, adjusted in enumerate(holm(p_values)):
        families = [
            subset
            for size in range(1, count + 1)
            for subset in itertools.combinations(range(count), size)
            if place in subset
        ]
        reference = max(
            min(1.0, len(family) * min(p_values[each] for each in family)) for family in families
        )
        assert adjusted == pytest.approx(reference)
