"""Successive halving as pure functions of numbers: how long to train, and who goes on.

Jamieson & Talwalkar 2016 (arXiv:1502.07943) train n networks for a little while, keep the better
part, train that longer, and so on, every rung at an equal share of the budget. Two things differ
here, and neither changes which members go on where one number is minimised:

- How many members a rung has follows from its share while it runs, since nobody knows beforehand
  what a training takes. At equal prices that is one of `eta` of those before it.
- With several objectives a rung takes whole fronts, best first (as Schmucker et al. 2021,
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


def ranked(points: Sequence[Sequence[float]]) -> list[int]:
    """Return the positions of points, best first, so that any beginning of it is a fair choice.

    Fronts come one after another. Within a front the best in the first objective comes first, then
    its other end, then what lies between them, coarse before fine. With one objective that is the
    order of the numbers; ties go to the smaller position.

    Args:
        points: One row per member, to be minimised.
    """
    if not points:
        return []
    levels = ranks(points)
    found: list[int] = []
    for level in range(int(levels.max()) + 1):
        front = [int(place) for place in np.flatnonzero(levels == level)]
        front.sort(key=lambda place: (tuple(points[place]), place))
        equal = len({tuple(points[place]) for place in front}) == 1
        found += front if equal else [front[place] for place in coarse_to_fine(len(front))]
    return found


def coarse_to_fine(count: int) -> list[int]:
    """Return 0 to `count - 1`: both ends, then midpoints of ever shorter stretches."""
    found = list(range(min(count, 1))) + ([count - 1] if count > 1 else [])
    stretches = [(0, count - 1)]
    while stretches:
        halves = []
        for low, high in stretches:
            if high - low > 1:
                middle = (low + high) // 2
                found.append(middle)
                halves += [(low, middle), (middle, high)]
        stretches = halves
    return found
