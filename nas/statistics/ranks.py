"""Comparing several methods over several blocks by ranks, as Demsar (2006) recommends.

A block is whatever the methods are compared on: a data set, or, where there is one data set only,
a seed. Blocks that are seeds measure the noise of training on that data set and say nothing about
other data sets; whoever prints these numbers has to say which blocks they come from.

Janez Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, Journal of Machine
Learning Research 7 (2006), 1-30. Values are costs: smaller is better, and rank 1 is the best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from nas.errors import ConfigError

Matrix = NDArray[np.float64]

MOST_PAIRS = 1000
"""Pairs for which the signed-rank distribution is counted exactly; no study has more seeds."""


@final
@dataclass(frozen=True)
class FriedmanResult:
    """Whether methods differ at all.

    Args:
        blocks: Number of blocks.
        methods: Number of methods.
        chi_square: Friedman's statistic, corrected for ties.
        p_value: Its p-value by the chi-square distribution with k - 1 degrees of freedom.
        f_statistic: Iman and Davenport's (1980) statistic, less conservative; infinite where every
            block ranks the methods alike.
        f_p_value: Its p-value by the F distribution with k - 1 and (k - 1)(N - 1) degrees.
    """

    blocks: int
    methods: int
    chi_square: float
    p_value: float
    f_statistic: float
    f_p_value: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; an infinite statistic is null."""
        finite = math.isfinite(self.f_statistic)
        return {
            "blocks": self.blocks,
            "methods": self.methods,
            "chi_square": self.chi_square,
            "p_value": self.p_value,
            "f_statistic": self.f_statistic if finite else None,
            "f_p_value": self.f_p_value,
        }


@final
@dataclass(frozen=True)
class SignedRankResult:
    """Wilcoxon's signed-rank test of paired differences.

    Args:
        pairs: Pairs that differ; equal pairs say nothing and are left out.
        positive: Sum of the ranks of positive differences.
        negative: Sum of the ranks of negative differences.
        p_value: Two-sided and exact, ties included.
    """

    pairs: int
    positive: float
    negative: float
    p_value: float


def block_ranks(values: ArrayLike) -> Matrix:
    """Return the rank of each method in each block; equal values share their mean rank.

    Args:
        values: Costs, `(blocks, methods)`.

    Raises:
        ConfigError: If the table is not of that shape, has fewer than 2 methods, or holds a
            number that is not finite.
    """
    table = _table(values)
    ranks: Matrix = stats.rankdata(table, axis=1)
    return ranks


def mean_ranks(values: ArrayLike) -> Matrix:
    """Return the mean rank of every method, `(methods,)`; see `block_ranks`."""
    means: Matrix = block_ranks(values).mean(axis=0)
    return means


def friedman(values: ArrayLike) -> FriedmanResult:
    """Test whether all methods are alike: Friedman's test and Iman and Davenport's form of it.

    Args:
        values: Costs, `(blocks, methods)`, at least 2 blocks.

    Raises:
        ConfigError: As `block_ranks`, and for fewer than 2 blocks.
    """
    ranks = block_ranks(values)
    blocks, methods = ranks.shape
    if blocks < 2:
        raise ConfigError(
            f"Ranks of {blocks} block cannot be tested: at least 2 blocks.",
            fix="Use more seeds or more data sets.",
        )
    spread = float(np.square(ranks - (methods + 1) / 2).sum())  # N k (k^2 - 1) / 12 without ties
    shift = float(np.square(ranks.mean(axis=0) - (methods + 1) / 2).sum())
    if spread == 0:  # every block is one tie
        return FriedmanResult(blocks, methods, 0.0, 1.0, 0.0, 1.0)
    chi_square = (methods - 1) * blocks**2 * shift / spread
    rest = blocks * (methods - 1) - chi_square
    exact = rest <= 1e-9 * blocks * methods  # every block ranks the methods alike
    statistic = math.inf if exact else (blocks - 1) * chi_square / rest
    degrees = (methods - 1, (methods - 1) * (blocks - 1))
    return FriedmanResult(
        blocks,
        methods,
        chi_square,
        float(stats.chi2.sf(chi_square, methods - 1)),
        statistic,
        0.0 if exact else float(stats.f.sf(statistic, *degrees)),
    )


def critical_difference(methods: int, blocks: int, alpha: float = 0.05) -> float:
    """Return by how much two mean ranks must differ to be told apart (Nemenyi 1963).

    Args:
        methods: Number of methods, at least 2.
        blocks: Number of blocks, at least 1.
        alpha: Chance of any false difference among all pairs.

    Raises:
        ConfigError: If a number is out of its range.
    """
    if methods < 2 or blocks < 1 or not 0 < alpha < 1:
        raise ConfigError(
            f"No critical difference of {methods} methods over {blocks} blocks at {alpha}: "
            "at least 2 methods, 1 block, and a level between 0 and 1."
        )
    quantile = float(stats.studentized_range.ppf(1 - alpha, methods, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(methods * (methods + 1) / (6 * blocks))


def cliques(ranks: Sequence[float], difference: float) -> list[tuple[int, ...]]:
    """Return the largest groups of methods whose mean ranks lie within `difference`.

    Args:
        ranks: Mean rank of each method.
        difference: Critical difference; ranks apart by exactly this much are told apart.

    Returns:
        Groups of at least two methods, each by place in `ranks` from best to worst; no group is
        part of another.
    """
    order = sorted(range(len(ranks)), key=lambda place: (ranks[place], place))
    found: list[tuple[int, ...]] = []
    reached = 0
    for start in range(len(order)):
        end = start
        while end < len(order) and ranks[order[end]] - ranks[order[start]] < difference:
            end += 1
        if end - start > 1 and end > reached:
            found.append(tuple(order[start:end]))
        reached = max(reached, end)
    return found


def signed_rank(differences: ArrayLike) -> SignedRankResult:
    """Test whether paired differences are symmetric around 0 (Wilcoxon 1945), exactly.

    The distribution over all signs of the ranks at hand is counted, so that ties need no
    correction. With five pairs the smallest p-value is 0.0625: five seeds never reach 0.05.

    Args:
        differences: One per pair, finite, at most 500.

    Raises:
        ConfigError: If one is not finite, or there are too many.
    """
    given = np.asarray(differences, dtype=np.float64).ravel()
    if not np.isfinite(given).all() or len(given) > MOST_PAIRS:
        raise ConfigError(
            f"{len(given)} differences cannot be tested: at most {MOST_PAIRS} finite numbers."
        )
    given = given[given != 0]
    if len(given) == 0:
        return SignedRankResult(0, 0.0, 0.0, 1.0)
    # Mean ranks are multiples of a half: twice a rank is a whole number.
    doubled = np.rint(2 * stats.rankdata(np.abs(given))).astype(np.int64)
    positive = int(doubled[given > 0].sum())
    negative = int(doubled.sum()) - positive
    tail = _signed_rank_chances(doubled)[: min(positive, negative) + 1].sum()
    return SignedRankResult(len(given), positive / 2, negative / 2, min(1.0, 2 * float(tail)))


def _signed_rank_chances(doubled: NDArray[np.int64]) -> Matrix:
    """Return the chance of every sum of ranks when each sign is a fair coin."""
    chances = np.zeros(int(doubled.sum()) + 1)
    chances[0] = 1.0
    for rank in doubled:
        moved = np.zeros_like(chances)
        moved[rank:] = chances[: len(chances) - rank]
        chances = (chances + moved) / 2
    return chances


def _table(values: ArrayLike) -> Matrix:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2:
        raise ConfigError(
            f"Methods cannot be ranked in a table of shape {table.shape}: one row per block, one "
            "column per method, at least 2 methods.",
        )
    if not np.isfinite(table).all():
        raise ConfigError(
            "The table to rank holds a number that is not finite.",
            why="A method that failed in a block has no rank there.",
            fix="Leave the block or the method out.",
        )
    return table
