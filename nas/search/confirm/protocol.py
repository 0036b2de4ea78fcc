"""What a confirmation decides, as pure functions of numbers.

Selection and confirmation never share a figure: networks are shortlisted, ranked and named by
validation errors, and judged by test errors of other seeds. A bin claims a gain only if its
candidate beats *every* named rival of the bin, so its p-value is the largest of its comparisons
(an intersection-union test: Berger 1982, Technometrics 24, 295-300), and Holm's correction runs
over the bins. `benchmarks/confirm_protocol.py` measures how often that is wrong.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, final

from nas.statistics import PairedDifference, holm, paired_difference

CONFIDENCE: Final = 0.95
LEVEL: Final = 1 - CONFIDENCE
RIVAL_KINDS: Final = ("hand_made", "random")
"""Kinds of rivals; a claim has to beat the best of each that is within reach."""

FEWEST_PAIRS: Final = 5
"""Pairs of trainings below which no claim is made."""

Outcome = Literal["gain", "none found", "no claim"]
Scores = Mapping[int, float]
"""Figures of one network by the index of their seed; failed trainings have none."""


@final
@dataclass(frozen=True)
class Bins:
    """Ranges of cost, cheapest first; the last one has no upper end.

    Args:
        edges: Upper ends of all bins but the last, ascending.
    """

    edges: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.edges) + 1

    def find(self, cost: float | None) -> int:
        """Return the bin of a cost; what has no cost lies in the last, where nothing bounds it."""
        return len(self.edges) if cost is None else bisect_left(self.edges, cost)

    def admits(self, place: int, cost: float | None) -> bool:
        """Tell whether a rival may compete in a bin: there and in every costlier one."""
        return self.find(cost) <= place

    def upper(self, place: int) -> float | None:
        """Return the upper end of a bin, None for the last."""
        return self.edges[place] if place < len(self.edges) else None


def make_bins(costs: Sequence[float], count: int) -> Bins:
    """Return at most `count` bins that hold the costs in equal numbers.

    An edge lies midway (by ratio, where costs are positive) between two costs, so that a rival no
    costlier than a point of the bin is in reach of it. Equal costs are never parted.
    """
    ordered = sorted(costs)
    edges: list[float] = []
    for index in range(1, count):
        place = round(index * len(ordered) / count)
        if not 0 < place < len(ordered) or ordered[place - 1] == ordered[place]:
            continue
        below, above = ordered[place - 1], ordered[place]
        middle = math.sqrt(below * above) if below > 0 else (below + above) / 2
        if not edges or middle > edges[-1]:
            edges.append(middle)
    return Bins(tuple(edges))


def shortlist(bins: Bins, costs: Sequence[float | None], most: int | None) -> list[list[int]]:
    """Return per bin the places of its first networks, at most `most`.

    Args:
        bins: The bins.
        costs: Costs of networks, best validation score first.
        most: How many per bin; None takes all.
    """
    chosen: list[list[int]] = [[] for _ in range(len(bins))]
    for place, cost in enumerate(costs):
        row = chosen[bins.find(cost)]
        if most is None or len(row) < most:
            row.append(place)
    return chosen


@final
@dataclass(frozen=True)
class Entrant:
    """A network as the protocol sees it.

    Args:
        key: Its name.
        kind: `searched` for candidates, anything else for one kind of rivals.
        cost: In the unit of the bins; None where it could not be measured.
        ranking: Validation errors with seeds A.
    """

    key: str
    kind: str
    cost: float | None
    ranking: Scores

    @property
    def mean(self) -> float:
        """Mean validation error; infinite where every training failed."""
        return math.fsum(self.ranking.values()) / len(self.ranking) if self.ranking else math.inf


@final
@dataclass(frozen=True)
class Named:
    """Who goes to fresh seeds for one bin.

    Args:
        bin: Number of the bin, cheapest first.
        candidate: Key of the searched network; None if no training of the bin succeeded.
        rivals: Key of the best rival by kind.
    """

    bin: int
    candidate: str | None
    rivals: Mapping[str, str]


def name_entrants(bins: Bins, entrants: Sequence[Entrant]) -> list[Named]:
    """Name one candidate and one rival of each kind per bin, by validation errors alone."""
    return [_name(bins, place, entrants) for place in range(len(bins))]


def _name(bins: Bins, place: int, entrants: Sequence[Entrant]) -> Named:
    best: dict[str, Entrant] = {}
    for each in entrants:
        searched = each.kind == "searched"
        fits = bins.find(each.cost) == place if searched else bins.admits(place, each.cost)
        if not fits or not each.ranking:
            continue
        if each.kind not in best or each.mean < best[each.kind].mean:
            best[each.kind] = each
    candidate = best.pop("searched", None)
    rivals = {kind: best[kind].key for kind in sorted(best)}
    return Named(place, candidate.key if candidate else None, rivals)


@final
@dataclass(frozen=True)
class Comparison:
    """A candidate beside one rival, on test images and fresh seeds.

    Args:
        rival: Key of the rival.
        kind: Its kind.
        pairs: Seeds with which both trainings succeeded.
        difference: Test error of the candidate minus that of the rival; None below 2 pairs.
    """

    rival: str
    kind: str
    pairs: int
    difference: PairedDifference | None

    @property
    def p_gain(self) -> float:
        """Two-sided p-value where the candidate has the smaller error, else 1."""
        found = self.difference
        return found.p_value if found is not None and found.mean < 0 else 1.0

    @property
    def p_loss(self) -> float:
        """Two-sided p-value where the rival has the smaller error, else 1."""
        found = self.difference
        return found.p_value if found is not None and found.mean > 0 else 1.0


@final
@dataclass(frozen=True)
class Verdict:
    """What one bin may claim.

    Args:
        bin: Number of the bin.
        candidate: Key of the candidate, if there is one.
        comparisons: With each named rival.
        p_holm: Largest p-value of the comparisons after Holm; None where no claim can be made.
        outcome: `gain`, `none found` or `no claim`.
        why: The reason in words.
    """

    bin: int
    candidate: str | None
    comparisons: tuple[Comparison, ...]
    p_holm: float | None
    outcome: Outcome
    why: str

    @property
    def p_value(self) -> float | None:
        """Largest p-value of the comparisons; None where no claim can be made."""
        if self.outcome == "no claim":
            return None
        return max(each.p_gain for each in self.comparisons)


def compare(candidate: Scores, rival: Scores, resolution: float = 0.0) -> PairedDifference | None:
    """Return the difference over the seeds that both have, None below 2 of them."""
    seeds = sorted(set(candidate) & set(rival))
    if len(seeds) < 2:
        return None
    first, second = [candidate[seed] for seed in seeds], [rival[seed] for seed in seeds]
    return paired_difference(first, second, confidence=CONFIDENCE, resolution=resolution)


def judge(
    named: Sequence[Named],
    tested: Mapping[str, Scores],
    kinds: Sequence[str],
    *,
    resolution: float = 0.0,
    earlier: Sequence[float] = (),
) -> list[Verdict]:
    """Return the verdict of every bin.

    Args:
        named: Who was named, bin by bin.
        tested: Test errors with seeds B by key.
        kinds: Kinds of rivals that a claim has to beat, if they are there at all.
        resolution: Step of the test error, 1 / test images.
        earlier: P-values of bins that this run judged before: Holm's correction counts them too, so
            that asking again does not raise the odds of a claim.
    """
    rows = [_comparisons(each, tested, kinds, resolution) for each in named]
    reasons = [_unfit(each, row) for each, row in zip(named, rows, strict=True)]
    judged = [place for place, reason in enumerate(reasons) if reason is None]
    p_values = [max(each.p_gain for each in rows[place]) for place in judged]
    adjusted = dict(zip(judged, holm([*p_values, *earlier]), strict=False))
    return [
        _verdict(each, rows[place], adjusted.get(place), reasons[place])
        for place, each in enumerate(named)
    ]


def _comparisons(
    named: Named, tested: Mapping[str, Scores], kinds: Sequence[str], resolution: float
) -> tuple[Comparison, ...]:
    if named.candidate is None:
        return ()
    own = tested.get(named.candidate, {})
    found = []
    for kind in kinds:
        if kind in named.rivals:
            key = named.rivals[kind]
            theirs = tested.get(key, {})
            difference = compare(own, theirs, resolution)
            found.append(Comparison(key, kind, len(set(own) & set(theirs)), difference))
    return tuple(found)


def _unfit(named: Named, comparisons: Sequence[Comparison]) -> str | None:
    """Return why no claim can be made, None if one can."""
    if named.candidate is None:
        return "no claim: no searched network of this bin could be trained"
    if not comparisons:
        return "no claim: it has no rival"
    fewest = min(each.pairs for each in comparisons)
    if fewest < FEWEST_PAIRS:
        seeds = "seed" if fewest == 1 else "seeds"
        return f"no claim: {fewest} {seeds}, a claim takes {FEWEST_PAIRS}"
    return None


def _verdict(
    named: Named, comparisons: tuple[Comparison, ...], p_holm: float | None, reason: str | None
) -> Verdict:
    if reason is not None or p_holm is None:
        why = reason or "no claim"
        return Verdict(named.bin, named.candidate, comparisons, None, "no claim", why)
    if p_holm < LEVEL:
        why = "the candidate has the smaller test error than every named rival"
        return Verdict(named.bin, named.candidate, comparisons, p_holm, "gain", why)
    worst = max(comparisons, key=_lag)
    why = f"not beyond noise against {worst.rival}"
    if worst.p_loss < LEVEL:
        why = f"{worst.rival} has the smaller test error, beyond noise"
    return Verdict(named.bin, named.candidate, comparisons, p_holm, "none found", why)


def _lag(comparison: Comparison) -> tuple[float, float]:
    """Return what puts the comparisons of a bin in order, the one that speaks most against last."""
    found = comparison.difference
    return (comparison.p_gain, found.mean if found is not None else 0.0)
