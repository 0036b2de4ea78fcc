"""How the hypervolume of the front grew with the trials, all against one reference point.

The reference is that of the front as it stands, so a line is drawn anew when it moves; within a
line all values compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.pareto import hypervolume
from nas.pareto.uncertainty import hypervolume_interval
from nas.search.front.reading import is_feasible

from .plain import short
from .reading import Reading

Floats = NDArray[np.float64]
DRAWS = 200
"""Draws behind the interval at each step: its ends are read off a chart."""


def volume_series(reading: Reading, points: int, *, spread: bool = False) -> list[dict[str, Any]]:
    """Return the hypervolume after some numbers of finished trials, the last one included.

    Keys: `finished`, `value` (of the values as recorded), `low` and `high` (95 % interval over
    draws of the shrunken values of the front at that time; None without `spread`).

    Args:
        reading: The run.
        points: At most so many values.
        spread: Also compute the intervals.
    """
    uncertainty, facts = reading.uncertainty, reading.facts
    if not uncertainty.front:
        return []
    order = _closing_order(reading)
    competing = {place for each in uncertainty.populations for place in each.places}
    values = np.full((len(order), len(uncertainty.columns)), np.inf)
    rows = [row for row, place in enumerate(order) if _counts(reading, place, competing)]
    chosen = [order[row] for row in rows]
    for column, name in enumerate(uncertainty.columns):
        values[rows, column] = facts.column(name, chosen)
    volumes, fronts = _grown(values, uncertainty.reference)
    steps = _steps(len(order), points)
    ends = _spreads(reading, [[order[row] for row in fronts[step - 1]] for step in steps], spread)
    return [
        {"finished": step, "value": volumes[step - 1], "low": short(low), "high": short(high)}
        for step, (low, high) in zip(steps, ends, strict=True)
    ]


def _closing_order(reading: Reading) -> list[int]:
    """Return the places of the finished trials in the order in which they finished."""
    finished = reading.facts.finished
    return sorted(
        range(len(finished)), key=lambda place: finished[place].attempts[-1].closed_seq or 0
    )


def _counts(reading: Reading, place: int, competing: set[int]) -> bool:
    return place in competing and is_feasible(reading.facts.finished[place])


def _steps(count: int, points: int) -> list[int]:
    """Return up to so many of the numbers 1 to `count`, evenly, the last one among them."""
    if count <= points:
        return list(range(1, count + 1))
    return sorted({round(step) for step in np.linspace(1, count, points)})


def _grown(values: Floats, reference: Floats) -> tuple[list[float], list[tuple[int, ...]]]:
    """Return the volume and the rows of the front after each row; a dominated row changes none."""
    front: tuple[int, ...] = ()
    volume = 0.0
    volumes, fronts = [], []
    for row, point in enumerate(values):
        if np.isfinite(point).all() and not _beaten(values[list(front)], point):
            stays = [old for old in front if not (point <= values[old]).all()]
            front = (*stays, row)
            volume = hypervolume(values[list(front)], reference)
        volumes.append(volume)
        fronts.append(front)
    return volumes, fronts


def _beaten(front: Floats, point: Floats) -> bool:
    return len(front) > 0 and bool((front <= point).all(axis=1).any())


def _spreads(
    reading: Reading, fronts: Sequence[Sequence[int]], wanted: bool
) -> list[tuple[float | None, float | None]]:
    """Return the 95 % interval of the volume of each front."""
    if not wanted:
        return [(None, None)] * len(fronts)
    uncertainty = reading.uncertainty
    places = sorted({place for front in fronts for place in front})
    if not places:
        return [(None, None)] * len(fronts)
    draws = uncertainty.draws(places, "hypervolume over trials")
    points = np.stack([draws[name][:DRAWS] for name in uncertainty.columns], axis=2)
    found: dict[tuple[int, ...], tuple[float | None, float | None]] = {(): (None, None)}
    for front in map(tuple, fronts):
        if front not in found:
            rows = np.searchsorted(places, sorted(front))
            interval = hypervolume_interval(points[:, rows], uncertainty.reference)
            found[front] = (interval.low, interval.high)
    return [found[tuple(front)] for front in fronts]
