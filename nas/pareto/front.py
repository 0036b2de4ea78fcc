"""From points to a front in a fixed order, and the best point of each group."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.errors import ConfigError
from nas.pareto.dominance import Points, check_feasible, check_points, non_dominated

Positions = NDArray[np.int64]


def front(
    points: ArrayLike,
    *,
    indices: Sequence[int] | None = None,
    feasible: ArrayLike | None = None,
) -> Positions:
    """Return the positions of the non-dominated feasible points, in a fixed order.

    The order is by first objective, then second, and so on, and among equal points by index: it
    does not depend on the order in which the points came in. No feasible point gives an empty
    front.

    Args:
        points: Array `(num_points, num_objectives)`, to be minimised.
        indices: Trial number of each point; by default its position.
        feasible: Which points meet the constraints; None for all.

    Raises:
        ConfigError: If the shapes do not fit, an index occurs twice, or a value is NaN.
    """
    array = check_points(points)
    numbers = _check_indices(indices, len(array))
    chosen = np.flatnonzero(non_dominated(array, feasible))
    return chosen[_order(array[chosen], numbers[chosen])]


def best_per_group(
    points: ArrayLike,
    groups: Sequence[Hashable],
    *,
    indices: Sequence[int] | None = None,
    feasible: ArrayLike | None = None,
) -> dict[Hashable, int]:
    """Return per group the position of its feasible point with the smallest first objective.

    Ties go to the smaller second objective, and so on, then to the smaller index. Groups come in
    the order of their first point; a group without a feasible point is left out.

    Args:
        points: Array `(num_points, num_objectives)`, to be minimised.
        groups: Group of each point, such as its pattern.
        indices: Trial number of each point; by default its position.
        feasible: Which points meet the constraints; None for all.

    Raises:
        ConfigError: If the shapes do not fit, an index occurs twice, or a value is NaN.
    """
    array = check_points(points)
    if len(groups) != len(array):
        raise ConfigError(
            f"There are {len(array)} points and {len(groups)} groups.",
            fix="Give one group per point.",
        )
    mask = check_feasible(feasible, len(array))
    best: dict[Hashable, int] = {}
    for position in _order(array, _check_indices(indices, len(array))):
        if mask[position]:
            best.setdefault(groups[position], int(position))
    return {group: best[group] for group in dict.fromkeys(groups) if group in best}


def _order(points: Points, numbers: NDArray[np.int64]) -> Positions:
    # lexsort takes its most important key last.
    return np.lexsort((numbers, *points.T[::-1]))


def _check_indices(indices: Sequence[int] | None, num_points: int) -> NDArray[np.int64]:
    if indices is None:
        return np.arange(num_points, dtype=np.int64)
    numbers = np.asarray(indices, dtype=np.int64)
    if numbers.shape != (num_points,) or len(set(numbers.tolist())) != num_points:
        raise ConfigError(
            f"'indices' has shape {numbers.shape}; expected {num_points} different whole numbers.",
            why="The index settles ties, so that a front does not depend on the order of points.",
            fix="Give the number of the trial of each point.",
        )
    return numbers
