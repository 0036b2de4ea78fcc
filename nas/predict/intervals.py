"""Intervals that hold: the predicted spread, stretched by what leaving one out shows.

A Gaussian process knows where it knows little, but not by how much it is wrong altogether. Each
calibrating network is predicted from all others; its error in units of its predicted spread is one
draw of what a new network will show (jackknife: Barber et al. 2021, arXiv:1905.02928; scores
normalised by a predicted spread: Papadopoulos et al. 2002). The width is their conformal quantile,
smoothed over neighbouring order statistics (Harrell and Davis 1982, Biometrika 69:635). Few scores
say little about a tail, so the width of a t distribution fitted to them counts as much as
`PRIOR_SCORES` of those beyond the first `SILENT_SCORES`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from scipy.stats import t as student

Floats = NDArray[np.float64]

COVERAGE = 0.95
DEGREES = (2.5, 3.0, 4.0, 6.0, 10.0, 30.0, 1000.0)
SCALES = np.exp(np.linspace(np.log(0.3), np.log(5.0), 120))
PRIOR_SCALE = 1.7
PRIOR_SPREAD = 0.5
"""Centre of the scale, and standard deviation of its logarithm, before anything is seen. Above 1:
left-out errors of a fit whose spreads were chosen with the network in it are too small."""

GROUPS = 10
PRIOR_SCORES = 25
SILENT_SCORES = 20
"""Scores that say nothing yet about a tail of 5 %."""


def interval_width(scores: Floats, coverage: float = COVERAGE) -> float:
    """Return the half width of an interval, in predicted standard deviations.

    Args:
        scores: Left-out errors over their predicted standard deviations; may be empty.
        coverage: Share of new networks inside, above 0 and below 1.
    """
    number = len(scores)
    fitted = _fitted_width(scores, coverage)
    if not number:
        return fitted
    counted = max(_smoothed_quantile(np.abs(scores), coverage), 1e-6)
    telling = max(0, number - SILENT_SCORES)
    share = telling / (telling + PRIOR_SCORES)
    return float(np.exp(share * np.log(counted) + (1 - share) * np.log(fitted)))


def widths_by_others(scores: Floats, coverage: float = COVERAGE) -> Floats:
    """Return for each score the half width that scores of the other groups give.

    An interval that was fitted to a network cannot be judged by it; of `GROUPS` groups each is
    judged by what the rest would have given.
    """
    group = np.arange(len(scores)) % GROUPS
    widths = [interval_width(scores[group != own], coverage) for own in range(GROUPS)]
    return np.asarray(widths)[group]


def _smoothed_quantile(values: Floats, coverage: float) -> float:
    """Return the quantile that one more value stays below with chance `coverage`."""
    number = len(values)
    level = min(coverage * (number + 1) / number, 1 - 0.5 / number)
    edges = np.linspace(0.0, 1.0, number + 1)
    shares = beta.cdf(edges, (number + 1) * level, (number + 1) * (1 - level))
    return float(np.diff(shares) @ np.sort(values))


def _fitted_width(scores: Floats, coverage: float) -> float:
    """Average the quantile over degrees of freedom and scale, each as likely as the scores say."""
    logs, widths = [], []
    for degrees in DEGREES:
        density = student.logpdf(scores[:, None] / SCALES, degrees).sum(0)
        density = density - len(scores) * np.log(SCALES)
        logs.append(density - 0.5 * (np.log(SCALES / PRIOR_SCALE) / PRIOR_SPREAD) ** 2)
        widths.append(student.ppf(0.5 + coverage / 2, degrees) * SCALES)
    joined = np.concatenate(logs)
    chances = np.exp(joined - joined.max())
    return float((chances * np.concatenate(widths)).sum() / chances.sum())
