"""Attainment surfaces, against counting who attains what at every place that matters."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import ConfigError
from nas.pareto import attainment, attainment_surface

NUMBERS = st.integers(0, 6).map(float)
FRONTS = st.lists(
    st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5).map(
        lambda points: np.array(points, dtype=float).reshape(-1, 2)
    ),
    min_size=1,
    max_size=5,
)


def is_below(corners: np.ndarray, place: tuple[float, float]) -> bool:
    """Tell whether a staircase attains a place."""
    return any(x <= place[0] and y <= place[1] for x, y in corners)


@given(fronts=FRONTS, data=st.data())
def test_a_surface_holds_what_so_many_fronts_attain(
    fronts: list[np.ndarray], data: st.DataObject
) -> None:
    level = data.draw(st.integers(1, len(fronts)))
    corners = attainment_surface(fronts, level)
    grid = np.arange(-0.5, 7, 0.5)
    for place in itertools.product(grid, grid):
        attained = sum(is_below(front, place) for front in fronts) >= level
        assert is_below(corners, place) == attained
    assert (np.diff(corners[:, 0]) > 0).all() and (np.diff(corners[:, 1]) < 0).all()


def test_best_median_and_worst_of_three() -> None:
    fronts = [[[1.0, 3.0], [3.0, 1.0]], [[2.0, 2.0]], [[4.0, 4.0]]]
    found = attainment(fronts)
    assert found.best.tolist() == [[1, 3], [2, 2], [3, 1]]
    assert found.median.tolist() == [[2, 3], [3, 2]]
    assert found.worst.tolist() == [[4, 4]]


def test_of_an_even_number_the_median_is_what_half_attain() -> None:
    assert attainment([[[1.0, 1.0]], [[2.0, 2.0]]]).median.tolist() == [[1, 1]]


def test_what_a_front_without_points_attains_is_nothing() -> None:
    found = attainment([[[1.0, 1.0]], []])
    assert found.best.tolist() == [[1, 1]] and found.worst.shape == (0, 2)


@pytest.mark.parametrize("level", [0, 3])
def test_a_level_beyond_the_fronts_is_refused(level: int) -> None:
    with pytest.raises(ConfigError, match=rf"{level} of 2 fronts.*"):
        attainment_surface([[[1.0, 1.0]]] * 2, level)


def test_other_than_two_objectives_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"2 objectives, got an array of shape \(1, 3\)"):
        attainment([[[1.0, 2.0, 3.0]]])
