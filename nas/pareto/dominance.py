"""Who is better than whom when there are several numbers to minimise.

A point dominates another if it is nowhere worse and somewhere better. Equal points do not dominate
each other, so ties stay on the front together: which of two equal networks to take is for the
caller to decide. -0.0 equals 0.0.
"""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.errors import ConfigError

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]


def check_points(points: ArrayLike) -> Points:
    """Return `points` as a new float64 array.

    Shape:
        points: `(num_points, num_objectives)`, at least one objective.

    Raises:
        ConfigError: If the shape is another, or a value is NaN.
    """
    array = np.array(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ConfigError(
            f"Points have the shape {array.shape}; expected (num_points, num_objectives).",
            fix="Give one row per point; for no points, numpy.empty((0, num_objectives)).",
        )
    rows = np.flatnonzero(np.isnan(array).any(axis=1))
    if rows.size:
        raise ConfigError(
            f"Point {rows[0]} has an objective that is NaN: {array[rows[0]].tolist()}.",
            why="NaN is neither better nor worse than a number.",
            fix="A trial without a result is a failed trial; leave it out.",
        )
    return array + 0.0  # -0.0 becomes 0.0


def check_feasible(feasible: ArrayLike | None, num_points: int) -> Mask:
    """Return which points may be on a front; None means all.

    Raises:
        ConfigError: If there is not one truth value per point.
    """
    if feasible is None:
        return np.ones(num_points, dtype=np.bool_)
    mask = np.asarray(feasible)
    if mask.shape != (num_points,) or mask.dtype != np.bool_:
        raise ConfigError(
            f"'feasible' has shape {mask.shape} and type {mask.dtype}; expected {num_points} "
            "truth values.",
            fix="Give one true or false per point.",
        )
    return mask


def dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    """Tell whether `first` is nowhere worse and somewhere better than `second`.

    Raises:
        ConfigError: If a value is NaN or the lengths differ.
    """
    if len(first) != len(second):
        raise ConfigError(
            f"Points with {len(first)} and {len(second)} objectives cannot be compared.",
            fix="Give both the same objectives in the same order.",
        )
    one, other = check_points([list(first), list(second)])
    return bool((one <= other).all() and (one < other).any())


def non_dominated(points: ArrayLike, feasible: ArrayLike | None = None) -> Mask:
    """Return which points no other feasible point dominates.

    Infeasible points are never on the front and keep nobody off it. Equal points are all kept.

    Shape:
        points: `(num_points, num_objectives)`, to be minimised.
        feasible: `(num_points,)`, or None for all.
        returns: `(num_points,)`.

    Raises:
        ConfigError: If the shapes do not fit or a value is NaN.
    """
    array = check_points(points)
    mask = check_feasible(feasible, len(array)).copy()
    if mask.any():
        mask[mask] = moocore.is_nondominated(array[mask], keep_weakly=True)
    return mask


def ranks(points: ArrayLike, feasible: ArrayLike | None = None) -> NDArray[np.int64]:
    """Return the number of the front each point is on: 0 is the Pareto front.

    Front `k` is what is non-dominated once the fronts before it are taken away. Infeasible points
    follow behind all feasible ones, ranked among themselves.

    Raises:
        ConfigError: If the shapes do not fit or a value is NaN.
    """
    array = check_points(points)
    mask = check_feasible(feasible, len(array))
    found = np.zeros(len(array), dtype=np.int64)
    behind = 0
    for group in (mask, ~mask):
        if group.any():
            found[group] = behind + moocore.pareto_rank(array[group])
            behind = int(found[group].max()) + 1
    return found
