"""What an answer goes along with: means with it and without it, and how much a choice explains.

These describe the trials that there are. A sampler that learns draws good answers together with
other good answers, so a difference here is no effect that changing one answer would have; only
answers drawn at random, all others likewise, would give that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from nas.errors import ConfigError

Floats = npt.NDArray[np.float64]


@final
@dataclass(frozen=True)
class MeanDifference:
    """Mean of some figures minus the mean of others, with its interval.

    Args:
        mean: The difference, in the unit of the figures.
        low: Lower end of the interval.
        high: Its upper end.
        count: Number of figures in the first group.
        others: Number of figures in the second.
    """

    mean: float
    low: float
    high: float
    count: int
    others: int


def mean_difference(
    first: npt.ArrayLike, second: npt.ArrayLike, confidence: float = 0.95
) -> MeanDifference | None:
    """Compare two groups of figures that need not spread alike.

    Welch 1947, Biometrika 34, 28-35: Student's t with the degrees of freedom that both variances
    amount to.

    Args:
        first: Figures of one group.
        second: Figures of the other.
        confidence: Of the interval, between 0 and 1.

    Returns:
        The difference; None where a group has fewer than 2 figures and so no spread.

    Raises:
        ConfigError: If a figure is not finite, or the confidence is no share.
    """
    one, other = (_figures(each) for each in (first, second))
    if not 0 < confidence < 1:
        raise ConfigError(
            f"The confidence is {confidence:g}; it must be between 0 and 1.", fix="Write 0.95."
        )
    if min(len(one), len(other)) < 2:
        return None
    from scipy.special import stdtrit

    mean = float(one.mean() - other.mean())
    shares = np.array([one.var(ddof=1) / len(one), other.var(ddof=1) / len(other)])
    squared = float(shares.sum())
    half = 0.0
    if squared > 0:
        freedom = squared**2 / float((shares**2 / [len(one) - 1, len(other) - 1]).sum())
        half = float(stdtrit(freedom, (1 + confidence) / 2)) * squared**0.5
    return MeanDifference(mean, mean - half, mean + half, len(one), len(other))


def explained_share(figures: npt.ArrayLike, groups: npt.ArrayLike) -> float | None:
    """Return the share of the figures' variance that lies between groups, corrected for chance.

    Epsilon squared (Kelley 1935, doi:10.1073/pnas.21.9.554): the share that groups of these sizes
    explain by chance is taken off, so that a choice with many answers does not look important for
    having many. At least 0.

    Args:
        figures: One number each.
        groups: The group of each.

    Returns:
        The share, 0 to 1; None where there are fewer than 2 groups, no more figures than groups, or
        the figures do not differ.

    Raises:
        ConfigError: If a figure is not finite, or the two differ in length.
    """
    values, labels = _figures(figures), np.asarray(groups)
    if labels.shape != values.shape:
        raise ConfigError(f"{len(values)} figures cannot be in {labels.size} groups one by one.")
    _, members = np.unique(labels, return_inverse=True)
    sizes = np.bincount(members)
    if len(sizes) < 2 or len(values) <= len(sizes):
        return None
    means = np.bincount(members, values) / sizes
    total = float(((values - values.mean()) ** 2).sum())
    if total <= 0:
        return None
    within = float(((values - means[members]) ** 2).sum())
    by_chance = within / (len(values) - len(sizes)) * (len(sizes) - 1)
    return min(1.0, max(0.0, (total - within - by_chance) / total))


def _figures(values: npt.ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if not np.isfinite(array).all():
        raise ConfigError("A figure is not finite; failed trials have no figure and are left out.")
    return array
