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


def with_families(
    baselines: Sequence[Row], confirmation: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Return baselines with their validation errors, families together and cheapest size first.

    Adds `error_validation_mean` and `validation_seeds` (None and 0 while nothing is trained), and
    `on_family_front`: False for a size that another size of its family beats, or that failed.

    Args:
        baselines: Rows of `front.json`, with `key` and `family`.
        confirmation: What `nas.search.confirm.view.confirmation` says.
    """
    entrants = {each["key"]: each for each in (confirmation or {}).get("entrants", [])}
    rows = [_row(each, entrants.get(each["key"], {})) for each in baselines]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["family"] or row["key"], []).append(row)
    for group in groups.values():
        group.sort(key=_size)
        for place in _beaten(group):
            group[place]["on_family_front"] = False
    return [row for group in groups.values() for row in group]


def _row(baseline: Row, entrant: Mapping[str, Any]) -> dict[str, Any]:
    validation = entrant.get("validation", {})
    return {
        **baseline,
        "error_validation_mean": validation.get("mean"),
        "validation_seeds": validation.get("seeds", 0),
        "on_family_front": True,
    }


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
