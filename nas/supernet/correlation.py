"""Kendall's tau over chosen pairs, with a bootstrap interval over members.

Pairs within a family (one wiring) and between families are told apart: a supernet may rank members
of one wiring well and say nothing about which wiring is better, and the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

Pairs = Literal["all", "within", "between"]
_LEVEL = 0.95

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Tau:
    """Kendall's tau-b and its interval; all NaN where there is nothing to compare.

    Args:
        value: From -1 to 1.
        low: Lower end of the 95 % bootstrap interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"

    def to_dict(self) -> dict[str, float | None]:
        """Return plain JSON values; None for NaN."""
        values: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(value) else value for name, value in values.items()}


def kendall_tau(
    first: Sequence[float],
    second: Sequence[float],
    families: Sequence[str],
    pairs: Pairs = "all",
    *,
    samples: int = 1000,
    seed: int = 0,
) -> Tau:
    """Return tau-b over the chosen pairs of members (Kendall 1945), with its interval.

    Args:
        first: One number per member.
        second: Another one.
        families: The wiring of every member.
        pairs: All pairs, those within a family, or those between families.
        samples: Bootstrap samples of the members.
        seed: Of the bootstrap.
    """
    left, right = _signs(first), _signs(second)
    mask = _mask(families, pairs)
    agreement = left * right * mask
    left_pairs, right_pairs = np.abs(left) * mask, np.abs(right) * mask
    ones = np.ones((1, len(first)))
    value = float(_tau(ones, agreement, left_pairs, right_pairs)[0])
    rng = np.random.default_rng(seed)
    count = len(first)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=samples).astype(np.float64)
    drawn = _tau(weights, agreement, left_pairs, right_pairs)
    drawn = drawn[~np.isnan(drawn)]
    if math.isnan(value) or len(drawn) == 0:
        return Tau(math.nan, math.nan, math.nan)
    low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Tau(value, float(low), float(high))


def _signs(values: Sequence[float]) -> Floats:
    column = np.asarray(values, dtype=np.float64)
    signs: Floats = np.sign(column[:, np.newaxis] - column[np.newaxis, :])
    return signs


def _mask(families: Sequence[str], pairs: Pairs) -> Floats:
    names = np.asarray(families)
    same = names[:, np.newaxis] == names[np.newaxis, :]
    if pairs == "all":
        return np.ones(same.shape)
    chosen = same if pairs == "within" else ~same
    return np.asarray(chosen, dtype=np.float64)


def _tau(weights: Floats, agreement: Floats, left: Floats, right: Floats) -> Floats:
    """Return tau for every row of member weights; NaN where all pairs are ties."""

    def total(table: Floats) -> Floats:
        result: Floats = ((weights @ table) * weights).sum(axis=1)
        return result

    scale = np.sqrt(total(left) * total(right))
    result: Floats = np.divide(
        total(agreement), scale, out=np.full(len(weights), np.nan), where=scale > 0
    )
    return result
