"""Differences of means and explained shares, against scipy and against counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nas.errors import ConfigError
from nas.statistics import explained_share, mean_difference

FIGURES = st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=12)


@given(first=FIGURES, second=FIGURES)
def test_the_interval_is_welchs(first: list[float], second: list[float]) -> None:
    found = mean_difference(first, second)
    assert found is not None
    assert (found.count, found.others) == (len(first), len(second))
    assert found.mean == pytest.approx(np.mean(first) - np.mean(second), abs=1e-9)
    if np.ptp(first) + np.ptp(second) < 1e-3:  # scipy loses its digits on equal figures
        return
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-6, abs=1e-6)


def test_one_figure_has_no_spread_and_equal_figures_have_none() -> None:
    assert mean_difference([1.0], [1.0, 2.0]) is None
    found = mean_difference([2.0, 2.0], [1.0, 1.0])
    assert found is not None and (found.mean, found.low, found.high) == (1, 1, 1)


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        found = mean_difference(rng.normal(1, 3, size=5), rng.normal(0, 1, size=20))
        assert found is not None
        covered += found.low <= 1 <= found.high
    assert 930 <= covered <= 970


def test_groups_that_explain_everything_and_nothing() -> None:
    groups = np.repeat([0, 1, 2], 10)
    assert explained_share(groups.astype(float), groups) == 1
    noise = np.random.default_rng(1).normal(size=3000)
    assert explained_share(noise, np.arange(3000) % 3) == pytest.approx(0, abs=0.01)
    half = explained_share(noise + np.where(np.arange(3000) % 2, 1.0, -1.0), np.arange(3000) % 2)
    assert half == pytest.approx(0.5, abs=0.03)


def test_many_groups_do_not_explain_for_being_many() -> None:
    rng = np.random.default_rng(2)
    shares = [explained_share(rng.normal(size=40), rng.integers(20, size=40)) for _ in range(300)]
    known = [share for share in shares if share is not None]
    # Without the correction the mean share would be 19 / 39.
    assert np.mean(known) < 0.15


@given(figures=FIGURES, data=st.data())
def test_a_share_is_epsilon_squared(figures: list[float], data: st.DataObject) -> None:
    size = len(figures)
    groups = data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    found = explained_share(figures, groups)
    parts = [[f for f, g in zip(figures, groups, strict=True) if g == k] for k in set(groups)]
    if len(parts) < 2 or size <= len(parts) or np.var(figures) == 0:
        assert found is None
        return
    total = float(np.sum((np.array(figures) - np.mean(figures)) ** 2))
    within = sum(float(np.sum((np.array(part) - np.mean(part)) ** 2)) for part in parts)
    adjusted = 1 - (within / (size - len(parts))) / (total / (size - 1))
    assert found == pytest.approx(max(0.0, adjusted), abs=1e-6)


def test_figures_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ConfigError, match="not finite; failed trials"):
        mean_difference([1.0, float("nan")], [1.0, 2.0])
    with pytest.raises(ConfigError, match="2 figures cannot be in 3 groups"):
        explained_share([1.0, 2.0], [0, 1, 1])
    with pytest.raises(ConfigError, match="confidence is 1; it must be between 0 and 1"):
        mean_difference([1.0, 2.0], [1.0, 2.0], 1)
