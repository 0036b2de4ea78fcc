"""Shrunken estimates: each value drawn towards what points like it have, the more the noisier.

The best of many noisy values is the luckiest as much as the best. Empirical Bayes takes that luck
out: the true values are normal around a regression on what is known of the points, with a spread
that the data themselves give, and each value moves towards the regression by the share of its
variance that is noise. Regression and unequal errors as in Fay and Herriot (1979,
doi:10.1080/01621459.1979.10482505), the spread by the equation of Paule and Mandel (1982,
doi:10.6028/jres.087.022), the corrections for having estimated it as in Morris (1983,
doi:10.1080/01621459.1983.10477920); with one common mean and equal errors this is the estimator of
James and Stein (1961) in the form of Efron and Morris (1975,
doi:10.1080/01621459.1975.10479864).

What all points share of their errors moves them together and is not noise between them, so it is
left where it is: only errors about the regression count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from nas.errors import ConfigError
from nas.pareto.noise import Floats, Noise

LEAST_FREEDOM = 3
"""Points beyond those that fix the regression, below which nothing is shrunk: James and Stein's
bound."""

_HALVINGS = 80


@final
@dataclass(frozen=True, eq=False)
class Shrunken:
    """Estimates and what is left of their noise.

    Args:
        values: `(num_points,)`, in the unit of the objective.
        noise: Of these values.
        weights: By how much each was drawn towards its prediction: 0 not at all, 1 wholly.
        spread: Standard deviation of the true values about the regression.
    """

    values: Floats
    noise: Noise
    weights: Floats
    spread: float


def shrink(values: ArrayLike, noise: Noise, features: ArrayLike | None = None) -> Shrunken:
    """Return the empirical Bayes estimates of some points.

    Args:
        values: One objective, `(num_points,)`, finite.
        noise: Its errors.
        features: What predicts the values beside a common mean, `(num_points, num_features)`;
            None takes the mean alone. Constant and repeated columns do no harm.

    Raises:
        ConfigError: If the shapes do not fit or a value is not finite.
    """
    given, design = _check(values, noise, features)
    freedom = len(given) - int(np.linalg.matrix_rank(design)) if len(given) else 0
    if freedom < LEAST_FREEDOM or not noise.errors.any():
        return Shrunken(given, noise, np.zeros(len(given)), float("nan"))
    fitted_loadings = design @ np.linalg.lstsq(design, noise.loadings, rcond=None)[0]
    own_loadings = noise.loadings - fitted_loadings
    variances = np.square(own_loadings).sum(axis=1) + np.square(noise.rest)
    floor = 1e-12 * float(variances.max()) + np.finfo(np.float64).tiny
    spread = _spread(given, design, np.maximum(variances, floor), freedom)
    total = np.maximum(variances, floor) + spread
    predicted, leverage = _regress(given, design, total)
    # Morris's factor: the share of noise is overestimated where the spread is estimated.
    weights = (freedom - 2) / freedom * variances / total
    weights[noise.errors == 0] = 0.0  # an exact value stays where it is, and exact
    kept = np.sqrt(1 - weights)
    estimated = 2 / freedom * np.square(weights * (given - predicted))
    estimated *= (float(variances.mean()) + spread) / total
    rest = np.square(kept * noise.rest) + np.square(weights) * leverage + estimated
    loadings = fitted_loadings + kept[:, None] * own_loadings
    errors = np.sqrt(np.square(loadings).sum(axis=1) + rest)
    errors[noise.errors == 0] = 0.0
    loadings[noise.errors == 0] = 0.0
    shrunken = predicted + (1 - weights) * (given - predicted)
    return Shrunken(shrunken, Noise(errors, loadings), weights, float(np.sqrt(spread)))


def _check(values: ArrayLike, noise: Noise, features: ArrayLike | None) -> tuple[Floats, Floats]:
    given = np.array(values, dtype=np.float64)
    if given.shape != (len(noise),) or not np.isfinite(given).all():
        raise ConfigError(
            f"There are values of shape {given.shape} and {len(noise)} errors.",
            why="Each value needs one error, and must be finite.",
            fix="Leave failed trials out.",
        )
    ones = np.ones((len(given), 1))
    if features is None:
        return given, ones
    columns = np.array(features, dtype=np.float64)
    if columns.ndim != 2 or len(columns) != len(given) or not np.isfinite(columns).all():
        raise ConfigError(
            f"The features have shape {columns.shape}; expected ({len(given)}, num_features), "
            "finite.",
            fix="Give one row per point.",
        )
    size = columns.std(axis=0)
    scaled = (columns - columns.mean(axis=0)) / np.where(size > 0, size, 1.0)
    return given, np.concatenate([ones, scaled], axis=1)


def _regress(values: Floats, design: Floats, total: Floats) -> tuple[Floats, Floats]:
    """Return the weighted regression at each point and the variance of that prediction."""
    roots = 1 / np.sqrt(total)
    weighted = design * roots[:, None]
    inverse = np.linalg.pinv(weighted.T @ weighted, hermitian=True)
    coefficients = inverse @ (weighted.T @ (values * roots))
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    return design @ coefficients, np.maximum(leverage, 0.0)


def _spread(values: Floats, design: Floats, variances: Floats, freedom: int) -> float:
    """Return the variance of the true values about the regression, at least 0.

    It is the one at which the weighted squares of the residuals sum to their degrees of freedom;
    they only fall as it grows.
    """

    def excess(spread: float) -> float:
        total = variances + spread
        predicted, _ = _regress(values, design, total)
        return float((np.square(values - predicted) / total).sum()) - freedom

    if excess(0.0) <= 0:
        return 0.0
    low, high = 0.0, float(np.square(values - values.mean()).sum()) + float(variances.max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return (low + high) / 2
