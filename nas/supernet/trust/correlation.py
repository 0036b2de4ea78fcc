"""Rank correlation over chosen pairs of members, with bootstrap intervals that can be subtracted.

Kendall's tau-b and Spearman's rho are one formula, Daniels' general coefficient (Biometrika 1944)
sum a_ij b_ij / sqrt(sum a_ij^2 sum b_ij^2) over pairs of members: a and b are signs of differences
for the one and differences of ranks for the other. So each can be taken over all pairs, over those
within a family or between families, and without the pairs that noise leaves open. A supernet may
rank the members of one family well and say nothing about which family is better, and the other way
round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, final, get_args

import numpy as np
from numpy.typing import NDArray

PairSet = Literal["all", "within", "between"]
Method = Literal["tau", "spearman"]
PAIR_SETS: tuple[PairSet, ...] = get_args(PairSet)
METHODS: tuple[Method, ...] = get_args(Method)
LEVEL = 0.95
SAMPLES = 1000

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Numbers = Sequence[float] | Floats


@final
@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % bootstrap interval; all NaN where there is nothing to compare."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"

    @property
    def known(self) -> bool:
        """Whether there was something to compare."""
        return not math.isnan(self.value)

    def to_dict(self) -> dict[str, float | None]:
        """Return plain JSON values; None for NaN."""
        values: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(value) else value for name, value in values.items()}


NOTHING = Estimate(math.nan, math.nan, math.nan)


@final
@dataclass(frozen=True, eq=False)
class Draws:
    """A statistic and what it is on each bootstrap sample, NaN where it is not defined.

    Statistics of one `MemberPairs` are taken on the same samples, so their difference is paired:
    what both find hard cancels.
    """

    value: float
    drawn: Floats

    def __sub__(self, other: Draws) -> Draws:
        return Draws(self.value - other.value, self.drawn - other.drawn)

    def estimate(self) -> Estimate:
        """Return value and percentile interval."""
        drawn = self.drawn[~np.isnan(self.drawn)]
        if math.isnan(self.value) or len(drawn) == 0:
            return NOTHING
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Estimate(self.value, float(low), float(high))


def mean_draws(several: Sequence[Draws]) -> Draws:
    """Return the mean of statistics taken on the same samples."""
    value = math.fsum(each.value for each in several) / len(several)
    return Draws(value, np.mean([each.drawn for each in several], axis=0))


@final
class MemberPairs:
    """The pairs of some members, and the bootstrap samples that all their statistics share.

    Members are resampled within their family, since a ranking fixes how many of each there are.

    Args:
        families: One per member.
        open_pairs: Symmetric, `(members, members)`; True where noise leaves open who is better.
            None for no such pair.
        samples: Bootstrap samples.
        seed: Of the bootstrap.
    """

    def __init__(
        self,
        families: Sequence[str],
        open_pairs: Bools | None = None,
        *,
        samples: int = SAMPLES,
        seed: int = 0,
    ) -> None:
        self.families = tuple(families)
        count = len(self.families)
        names = np.asarray(self.families)
        self._same = names[:, np.newaxis] == names[np.newaxis, :]
        nothing = np.zeros((count, count), dtype=bool)
        self._open = nothing if open_pairs is None else np.asarray(open_pairs, dtype=bool)
        rng = np.random.default_rng(seed)
        drawn = np.zeros((samples, count))
        for family in sorted(set(self.families)):
            places = np.flatnonzero(names == family)
            shares = np.full(len(places), 1 / len(places))
            drawn[:, places] = rng.multinomial(len(places), shares, size=samples)
        # The first row is the sample itself: one computation serves value and bootstrap.
        self._weights: Floats = np.vstack([np.ones((1, count)), drawn])

    def mask(self, pairs: PairSet, resolvable: bool = False) -> Bools:
        """Return which pairs count, `(members, members)`."""
        chosen = {"all": np.ones_like(self._same), "within": self._same, "between": ~self._same}
        found: Bools = chosen[pairs] & ~np.eye(len(self.families), dtype=bool)
        return found & ~self._open if resolvable else found

    def count(self, pairs: PairSet, resolvable: bool = False) -> int:
        """Return how many pairs count."""
        return int(self.mask(pairs, resolvable).sum()) // 2

    def correlate(
        self,
        method: Method,
        first: Numbers,
        second: Numbers,
        pairs: PairSet = "all",
        *,
        resolvable: bool = False,
    ) -> Draws:
        """Return how alike two numbers rank the members.

        Args:
            method: tau-b (Kendall 1945) or Spearman's rho. Ranks are those among all members, or,
                within families, among those of the family; ties share theirs.
            first: One number per member.
            second: Another one.
            pairs: Over which pairs.
            resolvable: Leave the open pairs out.
        """
        mask = self.mask(pairs, resolvable).astype(np.float64)
        seen = self._same if pairs == "within" else np.ones_like(self._same)
        left, right = _signs(first) * seen, _signs(second) * seen
        found = (_tau if method == "tau" else _rho)(self._weights, mask, left, right)
        return Draws(float(found[0]), found[1:])


def kendall_tau(first: Numbers, second: Numbers) -> float:
    """Return tau-b of two columns; NaN where one is constant."""
    one_family = _plain(len(first))
    return one_family.correlate("tau", first, second).value


@cache
def _plain(count: int) -> MemberPairs:
    return MemberPairs([""] * count, samples=0)


def _signs(values: Numbers) -> Floats:
    column = np.asarray(values, dtype=np.float64)
    signs: Floats = np.sign(column[:, np.newaxis] - column[np.newaxis, :])
    return signs


def _tau(weights: Floats, mask: Floats, left: Floats, right: Floats) -> Floats:
    """Return tau for every row of member weights."""

    def total(table: Floats) -> Floats:
        result: Floats = ((weights @ (table * mask)) * weights).sum(axis=1)
        return result

    return _ratio(total(left * right), total(np.abs(left)), total(np.abs(right)))


def _rho(weights: Floats, mask: Floats, left: Floats, right: Floats) -> Floats:
    """Return rho for every row of member weights; each row has ranks of its own."""
    # Half the weighted sum of signs is the midrank less a constant, which differences cancel.
    first, second = weights @ left.T / 2, weights @ right.T / 2
    degrees = weights @ mask

    def total(one: Floats, other: Floats) -> Floats:
        alone = (weights * degrees * one * other).sum(axis=1)
        crossed = (((weights * one) @ mask) * weights * other).sum(axis=1)
        result: Floats = 2 * (alone - crossed)
        return result

    return _ratio(total(first, second), total(first, first), total(second, second))


def _ratio(product: Floats, first: Floats, second: Floats) -> Floats:
    """Return product / sqrt(first * second); NaN where a column is constant."""
    scale = np.sqrt(np.clip(first, 0, None)) * np.sqrt(np.clip(second, 0, None))
    defined = scale > 1e-9 * max(1.0, float(np.max(scale, initial=0.0)))
    result: Floats = np.divide(product, scale, out=np.full(len(product), np.nan), where=defined)
    return result
