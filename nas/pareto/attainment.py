"""Empirical attainment surfaces: what a share of several fronts reaches, in two objectives.

A point is attained by a front if a point of the front is at least as good in both objectives. The
surface of `k` is the border of what at least `k` of the fronts attain: `k = 1` is the best that any
reached, `k = n` what all reach, the middle one the median run (Fonseca, Guerreiro, Lopez-Ibanez and
Paquete 2011, doi:10.1007/978-3-642-19893-9_8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.errors import ConfigError
from nas.pareto.dominance import check_points

Corners = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Attainment:
    """The surfaces of several fronts, each as its corners `(num_corners, 2)`, by first objective.

    Args:
        best: What at least one front attains.
        median: What at least half of the fronts attain.
        worst: What every front attains.
    """

    best: Corners
    median: Corners
    worst: Corners


def attainment(fronts: Sequence[ArrayLike]) -> Attainment:
    """Return the best, the median and the worst attainment surface.

    Args:
        fronts: Arrays `(num_points, 2)`, to be minimised; dominated points change nothing, and a
            front without points attains nothing.

    Raises:
        ConfigError: If there is no front, or one has another number of objectives than 2.
    """
    return Attainment(
        attainment_surface(fronts, 1),
        attainment_surface(fronts, (len(fronts) + 1) // 2),
        attainment_surface(fronts, len(fronts)),
    )


def attainment_surface(fronts: Sequence[ArrayLike], level: int) -> Corners:
    """Return the corners of what at least `level` of the fronts attain, by first objective.

    The second objective falls along them. Between two corners the surface is a staircase: the
    second objective of the left corner holds up to the right one.

    Args:
        fronts: Arrays `(num_points, 2)`, to be minimised.
        level: How many fronts have to attain a point, 1 to their number.

    Raises:
        ConfigError: If the level is none of these, or a front has not 2 objectives.
    """
    arrays = [_check(front) for front in fronts]
    if not 1 <= level <= len(arrays):
        raise ConfigError(
            f"{level} of {len(arrays)} fronts have no attainment surface.",
            fix=f"Give a level from 1 to {len(arrays)}." if arrays else "Give a front.",
        )
    firsts = np.unique(np.concatenate([array[:, 0] for array in arrays]))
    if not len(firsts):
        return np.empty((0, 2))
    heights = np.stack([_heights(array, firsts) for array in arrays])
    reached = np.sort(heights, axis=0)[level - 1]
    # A corner stands where the surface falls, and nowhere before anything is attained.
    before = np.concatenate([[np.inf], reached[:-1]])
    corners = reached < before
    return np.stack([firsts[corners], reached[corners]], axis=1)


def _heights(front: Corners, firsts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the best second objective of a front up to each first objective."""
    order = np.argsort(front[:, 0], kind="stable")
    lowest = np.concatenate([[np.inf], np.minimum.accumulate(front[order, 1])])
    return np.asarray(lowest[np.searchsorted(front[order, 0], firsts, side="right")])


def _check(front: ArrayLike) -> Corners:
    array = np.asarray(front, dtype=np.float64)
    array = check_points(array) if array.size else np.empty((0, 2))
    if array.shape[1] != 2 or not np.isfinite(array).all():
        raise ConfigError(
            f"An attainment surface takes finite points of 2 objectives, got an array of shape "
            f"{array.shape}.",
            fix="Choose two objectives, and leave failed trials out.",
        )
    return array
