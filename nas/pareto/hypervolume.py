"""Hypervolume: how much of the objective space a front dominates, up to a reference point.

The reference point is always given, never guessed silently: two volumes compare only under the
same one (Zitzler and Thiele 1998, doi:10.1007/BFb0056872; computed by moocore).
"""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.errors import ConfigError
from nas.pareto.dominance import Points, check_points


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """Return the volume that `points` dominate below `reference`.

    Points that are not better than the reference in every objective add nothing. Its unit is the
    product of the units of the objectives.

    Shape:
        points: `(num_points, num_objectives)`, to be minimised.
        reference: `(num_objectives,)`.

    Raises:
        ConfigError: If the shapes do not fit or a value is not finite.
    """
    array, corner = _check(points, reference)
    inside = array[(array < corner).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=corner)) if len(inside) else 0.0


def contributions(points: ArrayLike, reference: ArrayLike) -> NDArray[np.float64]:
    """Return for each point how much volume would be lost without it.

    Each of several equal points contributes 0.

    Raises:
        ConfigError: If the shapes do not fit or a value is not finite.
    """
    array, corner = _check(points, reference)
    total = hypervolume(array, corner)
    without = [hypervolume(np.delete(array, row, axis=0), corner) for row in range(len(array))]
    # Rounding may leave a hair below zero.
    return np.maximum(total - np.array(without, dtype=np.float64), 0.0)


def reference_point(points: ArrayLike, margin: float = 0.1) -> NDArray[np.float64]:
    """Return a point worse than all `points`: their worst values plus a share of their range.

    Compute it once, from everything that is to be compared, and pass it to every `hypervolume`.
    An objective that does not vary is given a range of its own size, or 1 if it is 0.

    Args:
        points: Array `(num_points, num_objectives)`, at least one point.
        margin: Share of the range to add, above 0, so that extreme points count.

    Raises:
        ConfigError: If there is no point, a value is not finite, or the margin is not above 0.
    """
    array = _check_finite(check_points(points), "points")
    if not len(array) or not 0 < margin < np.inf:
        raise ConfigError(
            f"A reference point needs at least one point and a margin above 0, "
            f"got {len(array)} points and margin {margin}.",
            fix="Give the points of all fronts to be compared, and for example margin=0.1.",
        )
    worst = array.max(axis=0)
    spread = worst - array.min(axis=0)
    size = np.where(worst == 0, 1.0, np.abs(worst))
    return np.asarray(worst + margin * np.where(spread > 0, spread, size), dtype=np.float64)


def _check(points: ArrayLike, reference: ArrayLike) -> tuple[Points, NDArray[np.float64]]:
    array = _check_finite(check_points(points), "points")
    corner = _check_finite(np.asarray(reference, dtype=np.float64), "reference point")
    if corner.shape != (array.shape[1],):
        raise ConfigError(
            f"The reference point has shape {corner.shape}, the points have "
            f"{array.shape[1]} objectives.",
            fix="Give one reference value per objective.",
        )
    return array, corner


def _check_finite(array: NDArray[np.float64], what: str) -> NDArray[np.float64]:
    if not np.isfinite(array).all():
        raise ConfigError(
            f"The {what} of a hypervolume must be finite, got {array.tolist()}.",
            why="An infinite side makes every volume infinite.",
            fix="Leave failed trials out and choose a finite reference point.",
        )
    return array
