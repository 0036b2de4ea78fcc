"""Successive halving as pure functions of numbers: how long to train, and who goes on.

Jamieson & Talwalkar 2016 (arXiv:1502.07943) train n networks for a little while, keep the better
part, train that longer, and so on, every rung at an equal share of the budget. Two things differ
here, and neither changes what a rung keeps when one number is minimised:

- How many members there are follows from the budget while the first rung runs, since nobody knows
  beforehand what a training takes.
- With several objectives a rung keeps whole fronts, best first (as Schmucker et al. 2021,
  arXiv:2106.12639, do for asynchronous halving), so that small networks have survivors too.

Every rung trains from fresh weights: a cosine schedule ends at its own length, so a longer training
is no continuation of a shorter one. What that costs is charged like everything else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.pareto import ranks


def rung_epochs(longest: int, eta: int, rungs: int) -> tuple[int, ...]:
    """Return the epochs of each rung, shortest first; lengths that coincide are one rung.

    Args:
        longest: Epochs of the last rung, at least 1.
        eta: Ratio of one rung's epochs to those before, at least 2.
        rungs: Most rungs.
    """
    lengths = {max(1, round(longest / eta**step)) for step in range(rungs)}
    return tuple(sorted(lengths))


def next_count(count: int, eta: int) -> int:
    """Return how many of `count` members go on: one of `eta`, and at least one of any."""
    return max(1, count // eta) if count else 0


def kept(points: Sequence[Sequence[float]], count: int) -> list[int]:
    """Return the positions of the `count` best points, best first.

    Fronts are kept whole, best first; of the front that does not fit whole, points are spread along
    the first objective, its best included. With one objective these are simply the smallest.

    Args:
        points: One row per member, to be minimised; the first objective settles ties.
        count: How many to keep; all, if there are no more.
    """
    if not points or count <= 0:
        return []
    levels = ranks(points)
    chosen: list[int] = []
    for level in range(int(levels.max()) + 1):
        members = [int(place) for place in np.flatnonzero(levels == level)]
        members.sort(key=lambda place: (tuple(points[place]), place))
        room = count - len(chosen)
        if room <= 0:
            break
        chosen += spread(members, room) if _differ(points, members) else members[:room]
    return chosen


def spread(ordered: Sequence[int], limit: int) -> list[int]:
    """Return at most `limit` entries: the first, the last, and evenly between them."""
    if len(ordered) <= limit:
        return list(ordered)
    places = np.unique(np.round(np.linspace(0, len(ordered) - 1, limit)).astype(int))
    return [ordered[int(place)] for place in places]


def _differ(points: Sequence[Sequence[float]], members: Sequence[int]) -> bool:
    """Tell whether a front has an extent along which to spread."""
    return len({tuple(points[place]) for place in members}) > 1
