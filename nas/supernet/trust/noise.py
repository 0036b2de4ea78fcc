"""What the spread over seeds says: which pairs it leaves open, and what a choice costs.

Noise is pooled: the variance of a training around its member's mean, averaged over members with
k - 1 degrees of freedom each. From two seeds alone a member's own variance is nearly unknown.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

STANDARD_ERRORS = 2.0
"""Pairs of members closer than this many standard errors of their difference are open."""

TOP = 5
"""How many of the predicted best are trained before one is chosen."""


@final
@dataclass(frozen=True)
class Noise:
    """The noise of a truth.

    Args:
        spread: Pooled standard deviation of one training around its member's mean, in nats.
        seeds: Trainings per member.
    """

    spread: float
    seeds: int

    @property
    def standard_error(self) -> float:
        """Of a member's mean over seeds, in nats."""
        return self.spread / math.sqrt(self.seeds)

    @property
    def threshold(self) -> float:
        """Two standard errors of the difference of two means, 2 sqrt(2) standard errors of one."""
        return STANDARD_ERRORS * math.sqrt(2) * self.standard_error

    def open_pairs(self, truth: Sequence[float]) -> NDArray[np.bool_]:
        """Return which pairs are closer than the threshold, `(members, members)`."""
        column = np.asarray(truth, dtype=np.float64)
        close: NDArray[np.bool_] = np.abs(column[:, None] - column[None, :]) < self.threshold
        return close

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "spread": self.spread,
            "standard_error": self.standard_error,
            "threshold": self.threshold,
        }


def pooled_noise(trainings: Sequence[Sequence[float]]) -> Noise:
    """Return the noise of members that were trained equally often, at least twice."""
    variances = [statistics.variance(values) for values in trainings]
    return Noise(math.sqrt(statistics.fmean(variances)), len(trainings[0]))


def top_regret(predicted: Sequence[float], truth: Sequence[float], top: int = TOP) -> float:
    """Return what training the predicted best and keeping the best of them costs, in nats.

    The truth of the best of the `top` members with the smallest prediction, less the best truth.
    Ties are taken in the order of the members.
    """
    order = np.argsort(np.asarray(predicted), kind="stable")[:top]
    return min(truth[int(place)] for place in order) - min(truth)


def random_regret(truth: Sequence[float], top: int = TOP) -> float:
    """Return the expected regret of `top` members drawn at random without repetition, in nats."""
    ordered = sorted(truth)
    count, chosen = len(ordered), min(top, len(ordered))
    ways = math.comb(count, chosen)
    # The k-th best is the best of the drawn when the others all come from those behind it.
    expected = math.fsum(
        value * math.comb(count - place - 1, chosen - 1) / ways
        for place, value in enumerate(ordered)
    )
    return expected - ordered[0]
