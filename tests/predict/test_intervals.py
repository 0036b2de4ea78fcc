"""Widths of intervals, and whether new draws stay inside."""

from __future__ import annotations

import numpy as np
import pytest
from scale import scaled
from scipy.stats import norm

from nas.predict.intervals import GROUPS, interval_width, widths_by_others


@pytest.mark.parametrize("degrees", [3, 1000])
@pytest.mark.parametrize(("number", "least", "most"), [(30, 0.91, 0.995), (200, 0.935, 0.97)])
def test_new_draws_stay_inside_95_percent_intervals(
    degrees: int, number: int, least: float, most: float
) -> None:
    rng = np.random.default_rng(degrees)
    inside = []
    for _ in range(scaled(200)):
        width = interval_width(rng.standard_t(degrees, number))
        inside.append((np.abs(rng.standard_t(degrees, 2000)) <= width).mean())
    assert least < np.mean(inside) < most


def test_widths_grow_with_scores_and_with_coverage() -> None:
    scores = norm.ppf(np.linspace(0.01, 0.99, 60))
    assert interval_width(3 * scores) > 2 * interval_width(scores)
    assert interval_width(scores, 0.5) < interval_width(scores, 0.9) < interval_width(scores, 0.99)


def test_a_score_has_no_part_in_the_width_that_judges_it() -> None:
    scores = norm.ppf(np.linspace(0.01, 0.99, 60))
    far = scores.copy()
    far[7] = 100.0
    own = widths_by_others(far)
    same = np.arange(60) % GROUPS == 7
    assert own[same] == pytest.approx(widths_by_others(scores)[same])
    assert (own[~same] > own[same].max()).all()


def test_without_scores_a_width_is_wider_than_normal() -> None:
    assert 2.0 < interval_width(np.array([])) < 6.0
    assert np.isfinite(interval_width(np.zeros(100)))
