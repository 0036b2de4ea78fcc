"""What is known of the error of one objective: how large it is, and how much of it is shared.

Two members that are scored on the same images err together, and a difference of theirs is known
better than either value. So the error of a point is a sum of loadings on standard normal factors
that all points share, and of a rest of its own; independent errors have no loadings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.errors import ConfigError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEVEL = 0.95
"""Confidence of intervals and of ties, unless said otherwise."""


@final
@dataclass(frozen=True, eq=False)
class Noise:
    """Normal errors of one objective over the same points, in its unit.

    Args:
        errors: Standard errors, `(num_points,)`, at least 0; 0 is an exact value.
        loadings: Share of each error on common factors, `(num_points, num_factors)`; a row is no
            longer than the point's error.
    """

    errors: Floats
    loadings: Floats

    @classmethod
    def of(cls, errors: ArrayLike, loadings: ArrayLike | None = None) -> Self:
        """Return the noise of some points, checked.

        Raises:
            ConfigError: If an error is negative or not finite, or the shapes do not fit.
        """
        own = np.array(errors, dtype=np.float64)
        if own.ndim != 1 or not np.isfinite(own).all() or (own < 0).any():
            raise ConfigError(
                f"Standard errors are {own.tolist()}; each must be a finite number, at least 0.",
                fix="Give one per point, 0 for a value that is exact.",
            )
        shared = np.zeros((len(own), 0)) if loadings is None else np.array(loadings, np.float64)
        if shared.ndim != 2 or len(shared) != len(own) or not np.isfinite(shared).all():
            raise ConfigError(
                f"The loadings have shape {shared.shape}; expected ({len(own)}, num_factors), "
                "finite.",
                fix="Give one row per point.",
            )
        return cls(own, shared)

    @classmethod
    def paired(cls, errors: ArrayLike, deviations: ArrayLike) -> Self:
        """Return noise whose correlations are those of the points' scores on the same parts.

        Args:
            errors: Standard errors, `(num_points,)`.
            deviations: `(num_points, num_parts)`: by how much a point's score on each part of the
                images lies above its mean. Only directions count: a row is scaled to the point's
                error, and a row of zeros says that nothing is known of what it shares.

        Raises:
            ConfigError: As `of`.
        """
        rows = np.array(deviations, dtype=np.float64)
        own = np.asarray(errors, dtype=np.float64)
        if rows.ndim != 2 or len(rows) != len(own):
            return cls.of(own, rows)  # which says what is wrong
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return cls.of(own, rows / np.where(lengths > 0, lengths, 1.0) * own[:, None])

    def __len__(self) -> int:
        return len(self.errors)

    @property
    def rest(self) -> Floats:
        """Standard deviation of what each point does not share, `(num_points,)`."""
        shared = np.square(self.loadings).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(np.square(self.errors) - shared, 0.0)))

    def take(self, places: ArrayLike) -> Noise:
        """Return the noise of some of the points."""
        chosen = np.asarray(places, dtype=np.int64)
        return Noise(self.errors[chosen], self.loadings[chosen])

    def of_differences(self) -> Floats:
        """Return the standard error of each pair's difference, `(num_points, num_points)`."""
        products = self.loadings @ self.loadings.T
        shared = np.diag(products)[:, None] + np.diag(products)[None, :] - 2 * products
        own = np.square(self.rest)
        variances = np.maximum(shared, 0.0) + own[:, None] + own[None, :]
        np.fill_diagonal(variances, 0.0)
        return np.asarray(np.sqrt(variances))

    def draw(self, values: ArrayLike, count: int, seed: int) -> Floats:
        """Return `count` draws around `values`, `(count, num_points)`; a seed gives the same ones.

        Exact values are drawn as they are.
        """
        rng = np.random.default_rng(seed)
        # In place: over many points each array has hundreds of megabytes.
        drawn = rng.standard_normal((count, self.loadings.shape[1])) @ self.loadings.T
        drawn += np.asarray(values, dtype=np.float64)
        own = rng.standard_normal((count, len(self)))
        own *= self.rest
        drawn += own
        return np.asarray(drawn, dtype=np.float64)


def normal_quantile(level: float, comparisons: int = 1) -> float:
    """Return by how many standard errors something lies outside a two-sided interval.

    Args:
        level: Confidence of all comparisons together, above 0 and below 1.
        comparisons: Independent ones at this joint level (Sidak 1967,
            doi:10.1080/01621459.1967.10482935).

    Raises:
        ConfigError: If the level is not between 0 and 1.
    """
    if not 0 < level < 1 or not math.isfinite(level):
        raise ConfigError(
            f"The confidence level is {level}; it must be above 0 and below 1.",
            fix="Write for example 0.95.",
        )
    each = level ** (1 / max(1, comparisons))
    return NormalDist().inv_cdf((1 + each) / 2)
