"""Kendall's W and exact shares against closed forms and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nas.errors import ConfigError
from nas.statistics import kendall_w, share


@given(st.permutations(range(6)))
def test_with_two_judges_w_follows_spearman(order: list[int]) -> None:
    first = list(range(6))
    spearman = stats.spearmanr(first, order).statistic
    assert kendall_w([first, order]) == pytest.approx((spearman + 1) / 2)


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(3, 7))
def test_w_follows_friedman_ties_included(seed: int, judges: int, things: int) -> None:
    table = np.random.default_rng(seed).integers(0, 4, (judges, things)).astype(float)
    if all(len(set(row)) == 1 for row in table.tolist()):
        return
    statistic = stats.friedmanchisquare(*table.T).statistic
    assert kendall_w(table.tolist()) == pytest.approx(statistic / (judges * (things - 1)))


def test_the_ends_of_w() -> None:
    assert kendall_w([[1, 2, 3]] * 4) == 1
    assert kendall_w([[1, 2, 3], [3, 2, 1]]) == 0
    assert kendall_w([[5, 5], [5, 5]]) == 1
    with pytest.raises(ConfigError, match="at least 2 judges and 2 things"):
        kendall_w([[1, 2, 3]])
    with pytest.raises(ConfigError, match="differ in length"):
        kendall_w([[1, 2, 3], [1, 2]])


@given(st.integers(1, 200), st.data())
def test_shares_have_the_exact_interval(of: int, data: st.DataObject) -> None:
    happened = data.draw(st.integers(0, of))
    found = share(happened, of)
    reference = stats.binomtest(happened, of).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=1e-9)
    assert found.low <= found.value == happened / of <= found.high


def test_what_never_happened_is_bounded_by_the_rule_of_its_count() -> None:
    assert share(0, 1000).high == pytest.approx(1 - 0.025 ** (1 / 1000))
    with pytest.raises(ConfigError, match="3 of 2 is no share"):
        share(3, 2)
