"""A front as HTML for notebooks: a plain table without styles or scripts, every name as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

MOST_ROWS: Final = 20


def run_html(name: str, state: str, document: Mapping[str, Any]) -> str:
    """Return a run as HTML: what it is, how far its front is trusted, the points.

    Args:
        name: Of the run.
        state: Of the run.
        document: As `front_document` returns it.
    """
    points: Sequence[Mapping[str, Any]] = document["points"]
    trust = document.get("trust") or {}
    count = "1 point" if len(points) == 1 else f"{len(points)} points"
    lines = [
        f"<strong>{escape(name)}</strong>, {escape(state)}, {count} on the front",
        escape(f"ranking: {trust.get('verdict', 'unverified')}; {trust.get('front', '-')}"),
    ]
    if document.get("stamp"):
        lines.append(escape(str(document["stamp"])))
    if len(points) > MOST_ROWS:
        lines.append(f"the first {MOST_ROWS} of {len(points)}")
    body = "".join(f"<p>{line}</p>" for line in lines)
    return f"<div>{body}{_table(points[:MOST_ROWS]) if points else ''}</div>"


def _table(points: Sequence[Mapping[str, Any]]) -> str:
    objectives = points[0]["objectives"]
    units = [f"{name} ({value['unit']})" for name, value in objectives.items()]
    heads = ["trial", "P(front)", *units, "retrained test error", "wiring", "knee"]
    rows = [
        [
            str(point["trial"]),
            _number(point.get("probability_front")),
            *(_value(point["objectives"][name]) for name in objectives),
            _number(point.get("error_confirmed_mean")),
            str(point.get("wiring") or "-"),
            "yes" if point.get("knee") else "",
        ]
        for point in points
    ]
    return f"<table><thead>{_row(heads, 'th')}</thead><tbody>{_body(rows)}</tbody></table>"


def _body(rows: Sequence[Sequence[str]]) -> str:
    return "".join(_row(row, "td") for row in rows)


def _row(cells: Sequence[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _value(value: Mapping[str, Any]) -> str:
    """Return a value with half its 95 % interval, where it has one."""
    middle, high = value["value"], value.get("high")
    told = _number(middle)
    return told if high is None or high == middle else f"{told} ± {high - middle:.2g}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
