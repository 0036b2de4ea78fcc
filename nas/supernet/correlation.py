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
    value, drawn = _bootstrap(first, second, families, pairs, samples, seed)
    return _with_interval(value, drawn)


def tau_difference(
    first: Sequence[float],
    rival: Sequence[float],
    truth: Sequence[float],
    families: Sequence[str],
    *,
    samples: int = 1000,
    seed: int = 0,
) -> Tau:
    """Return by how much better `first` ranks than `rival` does, over all pairs.

    Both are judged on the same bootstrap samples, so what both find hard cancels.

    Args:
        first: One number per member.
        rival: Another one.
        truth: What both are to rank like.
        families: The wiring of every member.
        samples: Bootstrap samples of the members.
        seed: Of the bootstrap.
    """
    ours, our_draws = _bootstrap(first, truth, families, "all", samples, seed)
    theirs, their_draws = _bootstrap(rival, truth, families, "all", samples, seed)
    return _with_interval(ours - theirs, our_draws - their_draws)


def _bootstrap(
    first: Sequence[float],
    second: Sequence[float],
    families: Sequence[str],
    pairs: Pairs,
    samples: int,
    seed: int,
) -> tuple[float, Floats]:
    """Return tau, and that of every bootstrap sample; NaN where there is nothing to compare."""
    left, right = _signs(first), _signs(second)
    mask = _mask(families, pairs)
    agreement = left * right * mask
    left_pairs, right_pairs = np.abs(left) * mask, np.abs(right) * mask
    value = float(_tau(np.ones((1, len(first))), agreement, left_pairs, right_pairs)[0])
    rng = np.random.default_rng(seed)
    count = len(first)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=samples).astype(np.float64)
    return value, _tau(weights, agreement, left_pairs, right_pairs)


def _with_interval(value: float, drawn: Floats) -> Tau:
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
