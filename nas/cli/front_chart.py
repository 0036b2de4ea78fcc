"""The chart above the table of a front: its points, the knee, and what else was tried."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from nas.cli.chart import Marks, Point, draw_chart
from nas.cli.output import draws_unicode, print_text

if TYPE_CHECKING:
    from nas.run_store import Trial

WIDEST: Final = 100
MOST_NAMES: Final = 16
"""Points of a front that are named in its chart; more would hide each other."""

_WINDOW: Final = 0.6
"""How far beyond the worst point of a front other trials are drawn, as a share of its range."""

_ROWS, _FEWEST_ROWS, _OTHER_LINES = 16, 8, 10


def chartable(document: Mapping[str, Any]) -> bool:
    """Tell whether a front has points, and two objectives to draw them by."""
    return bool(document["points"]) and len(document["objectives"]) > 1


def print_chart(document: Mapping[str, Any], finished: Sequence[Trial]) -> None:
    """Print the front over its first two objectives, the second one to the right.

    Args:
        document: As `front_document` returns it, `chartable`.
        finished: Every finished trial of the run.
    """
    size = shutil.get_terminal_size()
    upward, rightward = document["objectives"][:2]
    names = (str(rightward["name"]), str(upward["name"]))
    marks = front_marks(document, finished, names)
    for line in draw_chart(
        marks,
        [_place(point["objectives"], names) for point in document["points"]],
        (objective_label(rightward), objective_label(upward)),
        width=min(size.columns, WIDEST),
        height=max(_FEWEST_ROWS, min(_ROWS, size.lines - _OTHER_LINES)),
        ascii_only=not draws_unicode(),
    ):
        print_text(line)
    beyond = len(finished) - len(document["points"]) - len(marks[0].points)
    if beyond > 0:
        trials = "1 other trial" if beyond == 1 else f"{beyond} other trials"
        print_text(f"{trials} beyond this window")
    print_text("")


def front_marks(
    document: Mapping[str, Any], finished: Sequence[Trial], names: tuple[str, str]
) -> list[Marks]:
    """Return what a chart shows of a front, the least important first.

    Args:
        document: As `front_document` returns it.
        finished: Every finished trial of the run.
        names: Objectives along x and y.
    """
    points = document["points"]
    on_front = {point["trial"] for point in points}
    named = points if len(points) <= MOST_NAMES else []
    front = [_place(point["objectives"], names) for point in points]
    beside = [
        _place(each["objectives"], names)
        for each in document["baselines"]
        if set(names) <= set(each["objectives"])
    ]
    others = [_place(trial.values, names) for trial in finished if trial.number not in on_front]
    shown = _near([*front, *beside], others)
    return [
        Marks("other trials", "·", shown),
        Marks("baselines", "○", beside),
        Marks(
            "front, by trial" if named else "front",
            "●",
            front,
            [str(point["trial"]) for point in named],
        ),
        Marks(
            "knee",
            "◆",
            [_place(point["objectives"], names) for point in points if point.get("knee")],
        ),
    ]


def _near(points: Sequence[Point], others: Sequence[Point]) -> list[Point]:
    """Return which other points lie in a window around some: outliers would squash the front."""
    shown = list(others)
    for side in (0, 1):
        values = [point[side] for point in points]
        reach = max(values) - min(values) or max(values, key=abs)
        last = max(values) + _WINDOW * abs(reach)
        shown = [each for each in shown if each[side] <= last]
    return shown


def _place(values: Mapping[str, Any], names: tuple[str, str]) -> Point:
    return float(values[names[0]]["value"]), float(values[names[1]]["value"])


def objective_label(objective: Mapping[str, Any]) -> str:
    """Return the name of an axis."""
    unit = objective.get("unit")
    return f"{objective['name']} ({unit})" if unit and unit != "1" else str(objective["name"])
