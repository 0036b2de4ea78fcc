"""One point of a front by a word: `best`, `knee`, `under-2ms`.

Networks that the confirmation retrained are compared by their validation error, the rest of the
front stands behind them; test errors never choose. Where none was retrained, the front's own first
objective decides. What was picked, and by which figure, is always said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from nas.errors import ConfigError, NotFoundError
from nas.run_store.layout import typed

BEST: Final = "best"
KNEE: Final = "knee"
WORDS: Final = (BEST, KNEE, "under-2ms")
"""What to write, for messages."""

_UNDER = re.compile(r"under-([0-9]{1,9}(?:\.[0-9]{1,9})?)ms")
_RETRAINED: Final = "error_validation_mean"

Entry = Mapping[str, Any]


@final
@dataclass(frozen=True)
class Picked:
    """A point of a front.

    Args:
        trial: Its number.
        why: What was picked and by which figure, in one line.
    """

    trial: int
    why: str


def is_word(text: str) -> bool:
    """Tell whether a text picks a point of a front."""
    return text in (BEST, KNEE) or _UNDER.fullmatch(text) is not None


def pick(document: Entry, word: str, run: Path) -> Picked:
    """Return the point of a front that a word means.

    Args:
        document: From `nas.search.front_view.front_document`.
        word: `best`, `knee`, or `under-` and a latency such as `under-2ms`.
        run: Folder of the run, for messages.

    Raises:
        NotFoundError: If the front has no such point.
        ConfigError: If a latency is asked for and the run has none.
    """
    assert is_word(word), word
    points = list(document["points"])
    if not points:
        raise NotFoundError(
            f"The front of run '{run.name}' is empty, so it has no '{word}'.",
            fix=f"See why with: nas front {typed(run)}",
        )
    if word == KNEE:
        return _knee(document, points)
    limit = _UNDER.fullmatch(word)
    most = float(limit[1]) if limit else math.inf
    if limit:
        points = _within(points, most, run)
    return _best(points, most)


def _knee(document: Entry, points: Sequence[Entry]) -> Picked:
    found = next((point for point in points if point.get("knee")), points[0])
    share = (document.get("knee") or {}).get("probability")
    sure = "" if share is None else f", the knee in {100 * share:.0f} % of the draws"
    return Picked(int(found["trial"]), f"knee: trial {found['trial']}{sure}{_latency(found)}")


def _within(points: Sequence[Entry], most: float, run: Path) -> list[Entry]:
    times = [point["latency_ms"] for point in points if point.get("latency_ms") is not None]
    if not times:
        raise ConfigError(
            f"Run '{run.name}' has no latencies to compare with {most:g} ms.",
            why="Latency is neither an objective nor a constraint of it.",
            fix=f"Write {typed(run)}:{BEST}, or search with --set 'objectives=[error, latency]'.",
        )
    found = [point for point in points if (point.get("latency_ms") or math.inf) <= most]
    if not found:
        raise NotFoundError(
            f"No point of the front of run '{run.name}' takes {most:g} ms or less.",
            fix=f"The fastest takes {min(times):.4g} ms; see nas front {typed(run)}.",
        )
    return found


def _best(points: Sequence[Entry], most: float) -> Picked:
    where = "the front" if most == math.inf else f"the front up to {most:g} ms"
    retrained = [point for point in points if point.get(_RETRAINED) is not None]
    if retrained:
        found = min(retrained, key=lambda each: (each[_RETRAINED], _order(each)))
        figure = (
            f"validation error {100 * found[_RETRAINED]:.2f} % trained alone, the least of the "
            f"{len(retrained)} that were retrained"
        )
        return _picked(found, f"{figure}, of {len(points)} on {where}")
    first = next(iter(points[0]["objectives"]))
    found = min(points, key=lambda each: (each["objectives"][first]["value"], _order(each)))
    value = found["objectives"][first]
    figure = f"{first} {value['value']:.4g} ({value['source']}), the least of {len(points)}"
    return _picked(found, f"{figure} on {where}; none was trained alone")


def _picked(point: Entry, figure: str) -> Picked:
    number = int(point["trial"])
    return Picked(number, f"trial {number}: {figure}{_latency(point)}")


def _order(point: Entry) -> tuple[float, int]:
    latency = point.get("latency_ms")
    return (math.inf if latency is None else float(latency), int(point["trial"]))


def _latency(point: Entry) -> str:
    latency = point.get("latency_ms")
    return "" if latency is None else f", {latency:.4g} ms"
