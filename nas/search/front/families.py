"""Hand-made families beside a front: each is compared along its own front, as the search is.

A family in six sizes is six networks, most of which its other sizes beat. What it has to offer are
the sizes that no other size of it beats in validation error (seeds A) and cost at once; the others
are kept and marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.pareto import front

Row = Mapping[str, Any]


def with_families(baselines: Sequence[Row]) -> list[dict[str, Any]]:
    """Return baselines, families together and cheapest size first.

    Adds `on_family_front`: False for a size that another size of its family beats, or that failed.

    Args:
        baselines: Rows of `front.json`, with `key`, `family` and `error_validation_mean`.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in baselines:
        row = {**each, "on_family_front": True}
        groups.setdefault(each["family"] or each["key"], []).append(row)
    for group in groups.values():
        group.sort(key=_size)
        for place in _beaten(group):
            group[place]["on_family_front"] = False
    return [row for group in groups.values() for row in group]


def _size(row: Row) -> tuple[float, str]:
    """Return latency, else multiply-adds: networks of one run all have the one or the other."""
    found = row["macs"] if row["latency_ms"] is None else row["latency_ms"]
    return (float("inf") if found is None else float(found), str(row["key"]))


def _beaten(group: Sequence[Row]) -> list[int]:
    """Return the places of a family's sizes that are off its front; none before any is trained."""
    known = [place for place, row in enumerate(group) if row["error_validation_mean"] is not None]
    if not known:
        return []
    points = [[group[place]["error_validation_mean"], _size(group[place])[0]] for place in known]
    best = {known[int(place)] for place in front(points)}
    return [place for place in range(len(group)) if place not in best]
