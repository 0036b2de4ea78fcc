"""The difference of two rows of figures that belong together pair by pair.

Trainings with one seed see the same images in the same order, so what a seed does to both sides
cancels in their difference. The interval is Student's; the sign-flip test beside it assumes only
that a difference is as likely to have either sign.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Final, Self, final

import numpy as np
import numpy.typing as npt

from nas.errors import ConfigError

EXACT_FLIPS: Final = 14
"""Most pairs for which every pattern of signs is tried; beyond, as many random ones are."""

_FLIP_SEED: Final = 0
Floats = npt.NDArray[np.float64]


@final
@dataclass(frozen=True)
class PairedDifference:
    """Mean of first minus second, and how sure it is.

    Args:
        pairs: Number of pairs, at least 2.
        mean: Mean difference, in the unit of the figures.
        deviation: Standard deviation of the differences.
        low: Lower end of the interval of the mean.
        high: Its upper end.
        confidence: Of the interval.
        p_value: Two-sided, Student's t.
        p_sign_flip: Two-sided, by flipping signs; no smaller than 2 / 2^pairs.
    """

    pairs: int
    mean: float
    deviation: float
    low: float
    high: float
    confidence: float
    p_value: float
    p_sign_flip: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        return cls(**values)


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    *,
    confidence: float = 0.95,
    resolution: float = 0.0,
) -> PairedDifference:
    """Compare two rows of figures, the same place in both being one pair.

    Args:
        first: Figures of one side.
        second: Figures of the other side.
        confidence: Of the interval, between 0 and 1.
        resolution: Step of the scale the figures were read on, such as 1 / test images. Differences
            that happen to be all equal are not known better than that: the deviation is at least
            that of the rounding errors of both sides, `resolution / sqrt(6)`.

    Raises:
        ConfigError: If the rows differ in length, hold fewer than 2 pairs or a number that is not
            finite, or the confidence is no share.
    """
    differences = _differences(first, second)
    if not 0 < confidence < 1:
        raise ConfigError(
            f"The confidence is {confidence:g}; it must be between 0 and 1.", fix="Write 0.95."
        )
    from scipy.special import stdtrit

    pairs = len(differences)
    mean = math.fsum(differences) / pairs
    deviation = max(float(np.std(differences, ddof=1)), resolution / math.sqrt(6))
    error = deviation / math.sqrt(pairs)
    half = float(stdtrit(pairs - 1, (1 + confidence) / 2)) * error
    return PairedDifference(
        pairs=pairs,
        mean=mean,
        deviation=deviation,
        low=mean - half,
        high=mean + half,
        confidence=confidence,
        p_value=_two_sided(mean, error, pairs - 1),
        p_sign_flip=sign_flip(differences),
    )


def _differences(first: Sequence[float], second: Sequence[float]) -> list[float]:
    if len(first) != len(second):
        raise ConfigError(
            f"{len(first)} figures cannot be paired with {len(second)}.",
            why="A pair is two trainings with one seed.",
        )
    if len(first) < 2:
        raise ConfigError(
            f"{len(first)} pair has no spread: at least 2 are needed.",
            why="One training says nothing about how far another would differ.",
            fix="Train with more seeds, for a claim at least 5.",
        )
    differences = [one - other for one, other in zip(first, second, strict=True)]
    if not all(math.isfinite(each) for each in differences):
        raise ConfigError(
            "A figure is not finite; failed trainings have no figure and are left out in pairs."
        )
    return differences


def _two_sided(mean: float, error: float, freedom: int) -> float:
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    from scipy.special import stdtr

    return min(1.0, 2 * float(stdtr(freedom, -abs(mean) / error)))


def sign_flip(differences: Sequence[float]) -> float:
    """Return the share of sign patterns whose mean is at least as far from 0 as the one seen.

    Exact up to 14 differences, by 16,384 random patterns (always the same) beyond.
    """
    values = np.asarray(differences, dtype=np.float64)
    sums = np.abs(_signs(len(values)) @ values)
    seen = abs(math.fsum(differences))
    return float(np.mean(sums >= seen * (1 - 1e-12) - 1e-300))


@cache
def _signs(count: int) -> Floats:
    if count <= EXACT_FLIPS:
        return np.array(list(itertools.product((1.0, -1.0), repeat=count)))
    rng = np.random.default_rng(_FLIP_SEED)
    drawn = rng.choice((1.0, -1.0), size=(2**EXACT_FLIPS, count))
    drawn[0] = 1.0  # the pattern seen is one of them, so that no p-value is 0
    return np.asarray(drawn)
