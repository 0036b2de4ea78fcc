"""The knee of a front: where giving up a little of one objective no longer buys much of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from nas.errors import ConfigError
from nas.pareto.front import front


def knee(
    points: ArrayLike,
    *,
    indices: Sequence[int] | None = None,
    feasible: ArrayLike | None = None,
) -> int | None:
    """Return the position of the knee, or None if no point is feasible.

    Each objective is scaled to [0, 1] over the front. The knee is the point farthest from the
    hyperplane through the worst corners, towards the ideal point (Das 1999, On characterizing the
    "knee" of the Pareto curve, doi:10.1007/BF01195985). With the objectives scaled, that is the
    point with the smallest sum. Ties go to the point that comes first in `front`.

    Args:
        points: Array `(num_points, num_objectives)`, to be minimised.
        indices: Trial number of each point; by default its position.
        feasible: Which points meet the constraints; None for all.

    Raises:
        ConfigError: If the shapes do not fit or a value of the front is not finite.
    """
    chosen = front(points, indices=indices, feasible=feasible)
    if not len(chosen):
        return None
    values = np.asarray(points, dtype=np.float64)[chosen]
    if not np.isfinite(values).all():
        raise ConfigError(
            f"The front has a value that is not finite: {values.tolist()}.",
            why="A knee is found by comparing shares of each objective's range.",
            fix="Leave failed trials out.",
        )
    spread = np.ptp(values, axis=0)
    scaled = (values - values.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    # Rounding keeps ties ties whatever the order of the sum.
    return int(chosen[int(np.argmin(np.round(scaled.sum(axis=1), 12)))])
