"""A front of noisy points: who is on it how surely, who cannot be told apart, how large it is.

All of it is resampling: the objectives are drawn again and again around what is known of them, and
each draw has a front, a volume and a knee of its own. That a point is on the front with some
probability is the multi-objective form of the probability of selection (Teich 2001,
doi:10.1007/3-540-44719-9_22; Hughes 2001, doi:10.1007/3-540-44719-9_23).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.errors import ConfigError
from nas.pareto.dominance import Mask, check_feasible, check_points, non_dominated
from nas.pareto.hypervolume import hypervolume
from nas.pareto.noise import LEVEL, Floats, Noise, normal_quantile

MANY = 600
"""Points of a draw from which it pays to drop at first what a few strong ones dominate."""

STRONG = 6
"""How many of these there are."""

FAR = 4.5
"""Standard errors beyond which nobody is expected."""


@final
@dataclass(frozen=True)
class Interval:
    """A number and the interval that holds it with the stated confidence.

    Args:
        value: The middle of the draws.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def front_probabilities(draws: ArrayLike, feasible: ArrayLike | None = None) -> Floats:
    """Return for each point in which share of the draws no feasible point dominates it.

    Shape:
        draws: `(num_draws, num_points, num_objectives)`, to be minimised, finite.
        feasible: `(num_points,)` or `(num_draws, num_points)`, or None for all.
        returns: `(num_points,)`.

    Raises:
        ConfigError: If the shapes do not fit or a number is not finite.
    """
    drawn = _check_draws(draws)
    allowed = np.ones(drawn.shape[:2], dtype=np.bool_)
    if feasible is not None:
        given = np.asarray(feasible)
        if given.shape not in (drawn.shape[:2], drawn.shape[1:2]) or given.dtype != np.bool_:
            raise ConfigError(
                f"'feasible' has shape {given.shape} and type {given.dtype}; expected truth values "
                f"of shape {drawn.shape[:2]} or {drawn.shape[1:2]}.",
                fix="Give one true or false per point, or one per draw and point.",
            )
        allowed = np.broadcast_to(given, drawn.shape[:2])
    if not drawn.size:
        return np.zeros(drawn.shape[1])
    # The infeasible go where they keep nobody off a front.
    placed = drawn if allowed.all() else np.where(allowed[:, :, None], drawn, np.inf)
    return np.asarray((_fronts(placed) & allowed).mean(axis=0), dtype=np.float64)


def _fronts(draws: Floats) -> Mask:
    """Return for each draw which of its points are non-dominated, `(num_draws, num_points)`."""
    if draws.shape[1] >= MANY:
        return _fronts_of_many(draws)
    if draws.shape[2] == 2:
        return _fronts_of_two(draws)
    return np.stack([moocore.is_nondominated(each, keep_weakly=True) for each in draws])


def _fronts_of_many(draws: Floats) -> Mask:
    """Return the same for draws of many points, of which a few dominate most of the others.

    What is dropped is dominated by a point that stays, or by one that this one dominates in turn:
    dominance is transitive, so the fronts are the same.
    """
    strong = np.flatnonzero(moocore.is_nondominated(draws.mean(axis=0), keep_weakly=True))
    strong = strong[np.linspace(0, len(strong) - 1, STRONG).astype(np.int64)]
    found = np.zeros(draws.shape[:2], dtype=np.bool_)
    for drawn, kept in zip(draws, found, strict=True):
        columns = np.ascontiguousarray(drawn.T)
        beaten = np.zeros(len(drawn), dtype=np.bool_)
        for place in strong:
            worse = columns[0] > drawn[place, 0]
            for column, value in zip(columns[1:], drawn[place, 1:], strict=True):
                worse &= column > value
            beaten |= worse
        left = np.flatnonzero(~beaten)
        kept[left] = moocore.is_nondominated(drawn[left], keep_weakly=True)
    return found


def _fronts_of_two(draws: Floats) -> Mask:
    """Return for all draws at once which points are non-dominated in two objectives."""
    # By the first objective, then the second: a point is beaten by the best second one before it.
    order = np.argsort(draws[:, :, 1], axis=1, kind="stable")
    first = np.take_along_axis(draws[:, :, 0], order, axis=1)
    order = np.take_along_axis(order, np.argsort(first, axis=1, kind="stable"), axis=1)
    x = np.take_along_axis(draws[:, :, 0], order, axis=1)
    y = np.take_along_axis(draws[:, :, 1], order, axis=1)
    lowest = np.minimum.accumulate(y, axis=1)
    better = np.ones(y.shape, dtype=np.bool_)
    better[:, 1:] = y[:, 1:] < lowest[:, :-1]
    # Equal points stand side by side and share the fate of the first of them.
    new = np.ones(y.shape, dtype=np.bool_)
    new[:, 1:] = (x[:, 1:] != x[:, :-1]) | (y[:, 1:] != y[:, :-1])
    leader = np.maximum.accumulate(np.where(new, np.arange(y.shape[1]), 0), axis=1)
    kept = np.take_along_axis(better, leader, axis=1)
    found = np.empty(y.shape, dtype=np.bool_)
    np.put_along_axis(found, order, kept, axis=1)
    return found


def contenders(points: ArrayLike, errors: ArrayLike, feasible: ArrayLike | None = None) -> Mask:
    """Return which points may be on the front at all, `FAR` standard errors granted either way.

    Resampling the others would find 0, at a cost that grows with them.

    Args:
        points: `(num_points, num_objectives)`, to be minimised.
        errors: Their standard errors, the same shape.
        feasible: Which points surely keep the constraints and so keep others off the front; None
            for all.

    Raises:
        ConfigError: If the shapes do not fit or a value is NaN.
    """
    array = check_points(points)
    reach = FAR * np.asarray(errors, dtype=np.float64)
    if reach.shape != array.shape:
        raise ConfigError(
            f"There are errors of shape {reach.shape} for points of shape {array.shape}.",
            fix="Give one standard error per value.",
        )
    best, worst = array - reach, array + reach
    mask = check_feasible(feasible, len(array))
    rivals = worst[non_dominated(worst, mask)]
    beaten = [
        bool(((rivals <= row).all(axis=1) & (rivals < row).any(axis=1)).any()) for row in best
    ]
    return ~np.array(beaten, dtype=np.bool_)


def apart(values: ArrayLike, noise: Sequence[Noise], level: float = LEVEL) -> Mask:
    """Return which pairs of points differ beyond noise, `(num_points, num_points)`.

    Two points are apart if their difference in some objective is larger than its standard error
    allows, at this level over all objectives together. Exact objectives tell any difference.

    Args:
        values: `(num_points, num_objectives)`.
        noise: Of each objective.
        level: Confidence over all noisy objectives.

    Raises:
        ConfigError: If the shapes do not fit.
    """
    array = check_points(values)
    if len(noise) != array.shape[1] or any(len(each) != len(array) for each in noise):
        raise ConfigError(
            f"There are {len(noise)} noises for points of shape {array.shape}.",
            fix="Give the noise of each objective over all points.",
        )
    noisy = sum(bool(each.errors.any()) for each in noise)
    allowed = normal_quantile(level, noisy)
    found = np.zeros((len(array), len(array)), dtype=np.bool_)
    for column, each in zip(array.T, noise, strict=True):
        found |= np.abs(column[:, None] - column[None, :]) > allowed * each.of_differences()
    return found


def tie_groups(separate: ArrayLike) -> NDArray[np.int64]:
    """Return a group number per point; no two points of one group are apart.

    "Not apart" is no equivalence: the ends of a row of neighbours may differ. So a point joins the
    first group that has no point apart from it, in the order in which the points come.

    Args:
        separate: Which pairs are apart, `(num_points, num_points)`.
    """
    matrix = np.asarray(separate, dtype=np.bool_)
    groups: list[list[int]] = []
    found = np.zeros(len(matrix), dtype=np.int64)
    for place in range(len(matrix)):
        fits = (number for number, group in enumerate(groups) if not matrix[place, group].any())
        number = next(fits, len(groups))
        if number == len(groups):
            groups.append([])
        groups[number].append(place)
        found[place] = number
    return found


def hypervolume_interval(draws: ArrayLike, reference: ArrayLike, level: float = LEVEL) -> Interval:
    """Return the median of the volumes that the draws of one set of points dominate, and its ends.

    Shape:
        draws: `(num_draws, num_points, num_objectives)`, at least one draw.
        reference: `(num_objectives,)`.

    Raises:
        ConfigError: If the shapes do not fit or a number is not finite.
    """
    drawn = _check_draws(draws)
    normal_quantile(level)  # the level must be one
    if not len(drawn):
        raise ConfigError("An interval needs at least 1 draw.", fix="Draw for example 1000 times.")
    volumes = [hypervolume(each, reference) for each in drawn]
    low, middle, high = np.quantile(volumes, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return Interval(float(middle), float(low), float(high))


def knee_probabilities(draws: ArrayLike) -> Floats:
    """Return for each point in which share of the draws it is the knee; see `nas.pareto.knee`.

    Each draw scales the objectives over its own front; ties go to the point that comes first.

    Shape:
        draws: `(num_draws, num_points, num_objectives)`.
        returns: `(num_points,)`.

    Raises:
        ConfigError: If the shapes do not fit or a number is not finite.
    """
    drawn = _check_draws(draws)
    if not drawn.size:
        return np.zeros(drawn.shape[1])
    on_front = _fronts(drawn)[:, :, None]
    low = drawn.min(axis=1, keepdims=True)
    high = np.where(on_front, drawn, -np.inf).max(axis=1, keepdims=True)
    # A dominated point has a larger sum than what dominates it, so it is never the knee.
    scaled = (drawn - low) / np.where(high > low, high - low, 1.0)
    places = np.argmin(np.round(scaled.sum(axis=2), 12), axis=1)
    return np.bincount(places, minlength=drawn.shape[1]) / len(drawn)


def _check_draws(draws: ArrayLike) -> Floats:
    drawn = np.asarray(draws, dtype=np.float64)
    if drawn.ndim != 3 or drawn.shape[2] == 0 or not np.isfinite(drawn).all():
        raise ConfigError(
            f"The draws have shape {drawn.shape}; expected (num_draws, num_points, "
            "num_objectives), finite.",
            fix="Draw each objective with Noise.draw and stack them along the last axis.",
        )
    return drawn
