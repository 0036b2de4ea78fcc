"""Fronts, hypervolume and knee against definitions written out plainly."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scale import scaled

from nas.errors import ConfigError
from nas.pareto import (
    best_per_group,
    check_points,
    contributions,
    dominates,
    front,
    hypervolume,
    knee,
    non_dominated,
    ranks,
    reference_point,
)

Points = NDArray[np.float64]

# Few different values, so that ties and duplicates are common; both zeros among them.
_coarse = st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0])


@st.composite
def clouds(draw: st.DrawFn, max_points: int = 24, max_objectives: int = 5) -> Points:
    shape = (draw(st.integers(1, max_points)), draw(st.integers(1, max_objectives)))
    return draw(arrays(np.float64, shape, elements=_coarse))


def brute_force_mask(points: Points) -> NDArray[np.bool_]:
    """The definition: nobody is nowhere worse and somewhere better."""
    mask = np.ones(len(points), dtype=bool)
    for position, point in enumerate(points):
        nowhere_worse = (points <= point).all(axis=1)
        somewhere_better = (points < point).any(axis=1)
        mask[position] = not (nowhere_worse & somewhere_better).any()
    return mask


def sweep_2d(points: Points, reference: Points) -> float:
    """Exact area of a two-objective front: one rectangle per step."""
    area, ceiling = 0.0, float(reference[1])
    for x, y in sorted(map(tuple, points)):
        if x < reference[0] and y < ceiling:
            area += (float(reference[0]) - x) * (ceiling - y)
            ceiling = y
    return area


@pytest.mark.parametrize("num_objectives", [1, 2, 3, 4, 5])
def test_the_front_of_many_points_equals_brute_force(num_objectives: int) -> None:
    rng = np.random.default_rng(num_objectives)
    for levels in (3, 20, 10**6):
        points = rng.integers(0, levels, (scaled(10_000) // 3, num_objectives)) / 7.0
        points = np.concatenate([points, points[rng.integers(0, len(points), 50)]])
        assert (non_dominated(points) == brute_force_mask(points)).all()


@pytest.mark.fault("E5")
@given(clouds())
def test_the_front_equals_brute_force_with_ties_and_duplicates(points: Points) -> None:
    assert (non_dominated(points) == brute_force_mask(points)).all()


@given(clouds(), st.randoms(use_true_random=False))
def test_infeasible_points_are_never_on_the_front_and_keep_nobody_off(
    points: Points, random: Random
) -> None:
    feasible = np.array([random.random() < 0.6 for _ in points], dtype=bool)
    mask = non_dominated(points, feasible)
    assert not mask[~feasible].any()
    assert (mask[feasible] == brute_force_mask(points[feasible])).all()


def test_no_feasible_point_gives_an_empty_front_and_no_knee() -> None:
    points, feasible = [[1.0, 2.0], [2.0, 1.0]], np.array([False, False])
    assert front(points, feasible=feasible).tolist() == []
    assert knee(points, feasible=feasible) is None
    assert best_per_group(points, ["a", "b"], feasible=feasible) == {}
    assert non_dominated(np.empty((0, 2))).tolist() == []


@given(clouds(max_points=12))
def test_the_first_rank_is_the_front_and_ranks_peel_it(points: Points) -> None:
    found, rest, rank = ranks(points), np.arange(len(points)), 0
    while len(rest):
        on_front = brute_force_mask(points[rest])
        assert (found[rest[on_front]] == rank).all()
        rest, rank = rest[~on_front], rank + 1


def test_infeasible_points_rank_behind_all_feasible_ones() -> None:
    points = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
    assert ranks(points, np.array([False, True, True])).tolist() == [2, 0, 1]


@given(clouds(max_points=6))
def test_dominates_is_the_definition(points: Points) -> None:
    for one in points:
        for other in points:
            expected = bool((one <= other).all() and (one < other).any())
            assert dominates(one.tolist(), other.tolist()) == expected


@pytest.mark.fault("E6")
@given(clouds(), st.randoms(use_true_random=False))
def test_the_front_does_not_depend_on_the_order_of_points(points: Points, random: Random) -> None:
    indices = list(range(100, 100 + len(points)))
    order = list(range(len(points)))
    random.shuffle(order)
    plain = [indices[position] for position in front(points, indices=indices)]
    moved = [indices[position] for position in order]
    shuffled = [moved[position] for position in front(points[order], indices=moved)]
    assert shuffled == plain
    first, second = knee(points, indices=indices), knee(points[order], indices=moved)
    assert first is not None and second is not None
    assert indices[first] == moved[second]


@pytest.mark.fault("E5")
@given(clouds(max_objectives=3))
def test_the_front_is_ordered_by_objectives_then_index(points: Points) -> None:
    chosen = front(points)
    keys = [(*(points[position] + 0.0).tolist(), position) for position in chosen]
    assert keys == sorted(keys)


@given(clouds(max_points=16), st.data())
def test_a_dominated_point_changes_neither_front_nor_hypervolume(
    points: Points, data: st.DataObject
) -> None:
    worse = points[data.draw(st.integers(0, len(points) - 1))] + 0.25
    more = np.concatenate([points, worse[None]])
    reference = reference_point(more)
    assert front(more).tolist() == front(points).tolist()
    assert hypervolume(more, reference) == pytest.approx(hypervolume(points, reference))
    assert contributions(more, reference)[-1] == pytest.approx(0, abs=1e-12)


@given(clouds(max_points=20), st.randoms(use_true_random=False))
def test_hypervolume_does_not_depend_on_order_or_duplicates(points: Points, random: Random) -> None:
    reference = reference_point(points)
    order = list(range(len(points)))
    random.shuffle(order)
    again = np.concatenate([points[order], points[:2]])
    assert hypervolume(again, reference) == pytest.approx(hypervolume(points, reference))


@given(arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.floats(0, 1)))
def test_hypervolume_of_two_objectives_equals_the_exact_sweep(points: Points) -> None:
    reference = np.array([0.9, 1.1])
    expected = sweep_2d(points, reference)
    assert hypervolume(points, reference) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("num_objectives", [2, 3, 4, 5])
def test_hypervolume_agrees_with_monte_carlo(num_objectives: int) -> None:
    rng = np.random.default_rng(7)
    points = rng.random((15, num_objectives))
    darts = rng.random((scaled(400_000), num_objectives))
    hit = np.zeros(len(darts), dtype=bool)
    for point in points:
        hit |= (darts >= point).all(axis=1)
    share = hit.mean()
    five_sigma = 5 * np.sqrt(share * (1 - share) / len(darts))
    assert abs(hypervolume(points, np.ones(num_objectives)) - share) < five_sigma


def test_contributions_are_exact_on_a_staircase() -> None:
    points = [[1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [3.0, 3.0]]
    assert contributions(points, [4.0, 4.0]).tolist() == [1.0, 1.0, 1.0, 0.0]
    assert contributions([[1.0, 1.0], [1.0, 1.0]], [2.0, 2.0]).tolist() == [0.0, 0.0]


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume([[5.0, 0.0], [0.0, 5.0]], [4.0, 4.0]) == 0.0
    assert hypervolume(np.empty((0, 2)), [1.0, 1.0]) == 0.0


def test_the_reference_point_is_worse_than_every_point_even_without_range() -> None:
    points = np.array([[1.0, 0.0, -2.0], [3.0, 0.0, -2.0]])
    assert reference_point(points, 0.5).tolist() == [4.0, 0.5, -1.0]


def test_the_knee_is_the_bend_of_an_elbow() -> None:
    points = [[0.0, 10.0], [1.0, 2.0], [9.0, 1.0], [10.0, 0.0], [10.0, 10.0]]
    assert knee(points) == 1
    assert knee([[3.0, 4.0]]) == 0
    assert knee([[0.0, 1.0], [1.0, 0.0]], indices=[8, 3]) == 0


def test_the_best_of_each_group_breaks_ties_by_the_next_objective_then_the_index() -> None:
    points = [[1.0, 5.0], [1.0, 4.0], [2.0, 0.0], [1.0, 4.0], [0.0, 0.0]]
    groups = ["dense", "dense", "free", "dense", "free"]
    feasible = np.array([True, True, True, True, False])
    assert best_per_group(points, groups, feasible=feasible) == {"dense": 1, "free": 2}
    best = best_per_group(points, groups, indices=[9, 8, 7, 6, 5], feasible=feasible)
    assert best == {"dense": 3, "free": 2}


def test_what_cannot_be_compared_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"(?s)Point 1 .* NaN.*failed trial"):
        non_dominated([[1.0, 2.0], [float("nan"), 1.0]])
    with pytest.raises(ConfigError, match=r"(?s)shape \(3,\).*one row per point"):
        check_points([1.0, 2.0, 3.0])
    with pytest.raises(ConfigError, match=r"(?s)'feasible' has shape \(1,\).*one true or false"):
        non_dominated([[1.0], [2.0]], np.array([True]))
    with pytest.raises(ConfigError, match=r"1 and 2 objectives cannot be compared"):
        dominates([1.0], [1.0, 2.0])
    with pytest.raises(ConfigError, match=r"(?s)expected 2 different whole numbers.*settles ties"):
        front([[1.0], [2.0]], indices=[4, 4])
    with pytest.raises(ConfigError, match=r"2 points and 1 groups"):
        best_per_group([[1.0], [2.0]], ["a"])


def test_an_unfit_reference_point_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"(?s)shape \(1,\).*2 objectives.*one reference value"):
        hypervolume([[1.0, 2.0]], [3.0])
    with pytest.raises(ConfigError, match=r"(?s)points of a hypervolume must be finite.*Leave"):
        hypervolume([[1.0, float("inf")]], [3.0, 3.0])
    with pytest.raises(ConfigError, match=r"reference point of a hypervolume must be finite"):
        hypervolume([[1.0, 2.0]], [3.0, float("inf")])
    with pytest.raises(ConfigError, match=r"(?s)at least one point.*got 0 points.*margin=0.1"):
        reference_point(np.empty((0, 2)))
    with pytest.raises(ConfigError, match=r"margin above 0, got 1 points and margin 0"):
        reference_point([[1.0]], 0.0)
    with pytest.raises(ConfigError, match=r"(?s)front has a value that is not finite.*Leave"):
        knee([[1.0, float("inf")]])
