"""The front as an SVG scatter chart: every trial, the front as a line, baselines beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import final

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 48
FEWEST_TO_LEAVE_OUT = 15
"""With fewer marks than this all are drawn."""

# Okabe and Ito's palette; a wiring family has the same colour in every chart.
COLOURS = {
    "chain": "#999999",
    "residual": "#0072B2",
    "dense": "#D55E00",
    "fractal": "#009E73",
    "hierarchical": "#CC79A7",
    "harmonic": "#E69F00",
    "free": "#8C6BB1",
    "mixed": "#56B4E9",
}
OTHER_COLOURS = ("#7F5539", "#B5B35C", "#4F6D7A", "#C1666B")

Bar = tuple[float, float]

SHAPES = {
    "front": "● on the front",
    "confirmed": "● from the front",
    "trial": "• other trial",
    "hand_made": "■ hand-made",
    "random": "▲ random",
}
"""What the shapes of the marks mean, in the order of the legend."""


@final
@dataclass(frozen=True)
class Mark:
    """One point of the chart.

    Args:
        x: Value on the horizontal axis.
        y: Value on the vertical axis.
        label: Full text for a pointer resting on it.
        family: Wiring family, which gives the colour.
        kind: `trial`, `front`, `confirmed`, `hand_made` or `random`.
        target: Id of the element a click leads to, or empty.
        x_bar: Ends of the horizontal error bar, or None.
        y_bar: Ends of the vertical one.
        knee: Whether the mark is ringed as the knee of the front.
    """

    x: float
    y: float
    label: str
    family: str
    kind: str = "trial"
    target: str = ""
    x_bar: Bar | None = None
    y_bar: Bar | None = None
    knee: bool = False


def draw_front(marks: Sequence[Mark], x_title: str, y_title: str) -> str:
    """Return the chart as an `<svg>` element, or a sentence when there is nothing to draw."""
    marks = [mark for mark in marks if math.isfinite(mark.x) and math.isfinite(mark.y)]
    if not marks:
        return "<p>No finished trial to draw yet.</p>"
    marks, beyond = _within_view(marks)
    xs = _axis([value for mark in marks for value in (mark.x, *(mark.x_bar or ()))])
    ys = _axis([value for mark in marks for value in (mark.y, *(mark.y_bar or ()))])
    colours = _colours({mark.family for mark in marks})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"<title>{escape(y_title)} against {escape(x_title)}</title>",
        *_axes(xs, ys, x_title, y_title),
        _front_line(marks, xs, ys),
    ]
    order = {"trial": 0, "random": 1, "hand_made": 2, "confirmed": 3, "front": 4}
    parts.extend(_bars(mark, xs, ys) for mark in marks)
    parts.extend(
        _mark(mark, xs, ys, colours[mark.family])
        for mark in sorted(marks, key=lambda mark: order[mark.kind])
    )
    parts.append("</svg>")
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in colours.items()
    )
    kinds = {mark.kind for mark in marks}
    shapes = "".join(f"<span>{text}</span>" for kind, text in SHAPES.items() if kind in kinds)
    if any(mark.x_bar or mark.y_bar for mark in marks):
        shapes += "<span>┼ 95 % interval</span>"
    if any(mark.knee for mark in marks):
        shapes += "<span>◯ knee</span>"
    if beyond:
        shapes += f"<span>{beyond} of the worst trials lie beyond the axes</span>"
    return "".join(parts) + f'<p class="legend">{legend}{shapes}</p>'


def _within_view(marks: list[Mark]) -> tuple[list[Mark], int]:
    """Leave out trials so bad that they would squeeze the rest, and tell how many they are.

    What is on the front, retrained or a baseline always stays; a trial goes when it is further
    above nine tenths of all marks than these spread.
    """
    limits = [_robust_limit(sorted(getattr(mark, axis) for mark in marks)) for axis in ("x", "y")]
    kept = [
        mark
        for mark in marks
        if mark.kind != "trial" or (mark.x <= limits[0] and mark.y <= limits[1])
    ]
    return kept, len(marks) - len(kept)


def _robust_limit(values: list[float]) -> float:
    ninth = values[int(0.9 * (len(values) - 1))]
    return ninth + max(ninth - values[0], 1e-12)


def _colours(families: set[str]) -> dict[str, str]:
    others = sorted(families - set(COLOURS))
    extra = {name: OTHER_COLOURS[index % len(OTHER_COLOURS)] for index, name in enumerate(others)}
    return {name: (COLOURS | extra)[name] for name in sorted(families)}


def _axis(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return (max(0.0, low - margin) if low >= 0 else low - margin), high + margin


def _x(value: float, axis: tuple[float, float]) -> float:
    return LEFT + (value - axis[0]) / (axis[1] - axis[0]) * (WIDTH - LEFT - RIGHT)


def _y(value: float, axis: tuple[float, float]) -> float:
    return HEIGHT - BOTTOM - (value - axis[0]) / (axis[1] - axis[0]) * (HEIGHT - TOP - BOTTOM)


def ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """Return round numbers between `low` and `high`, about `wanted` of them."""
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step) + 1)]


def tick_text(value: float) -> str:
    """Write a number of an axis shortly: `0.05`, `150k`, `2.5M`."""
    for smallest, unit, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if smallest <= abs(value) < 1e15:
            return f"{value / unit:.4g}{letter}"
    return f"{value:.4g}"


def _axes(
    xs: tuple[float, float], ys: tuple[float, float], x_title: str, y_title: str
) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>']
    for value in ticks(*xs):
        x = _x(value, xs)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 18}">{tick_text(value)}</text>')
    for value in ticks(*ys):
        y = _y(value, ys)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
        parts.append(
            f'<text class="tick y" x="{LEFT - 8}" y="{y + 4:.1f}">{tick_text(value)}</text>'
        )
    middle = (LEFT + right) / 2
    parts.append(f'<text class="title" x="{middle}" y="{HEIGHT - 8}">{escape(x_title)}</text>')
    parts.append(
        f'<text class="title" transform="translate(14 {(TOP + bottom) / 2}) rotate(-90)">'
        f"{escape(y_title)}</text>"
    )
    return parts


def _front_line(marks: Sequence[Mark], xs: tuple[float, float], ys: tuple[float, float]) -> str:
    points = sorted((mark.x, mark.y) for mark in marks if mark.kind == "front")
    if len(points) < 2:
        return ""
    path = f"M{_x(points[0][0], xs):.1f} {_y(points[0][1], ys):.1f}"
    for x, y in points[1:]:  # a step: between two points only the worse of both is reached
        path += f"H{_x(x, xs):.1f}V{_y(y, ys):.1f}"
    return f'<path class="front-line" d="{path}"/>'


def _bars(mark: Mark, xs: tuple[float, float], ys: tuple[float, float]) -> str:
    """Return the error bars of a mark, and the ring of a knee."""
    x, y = _x(mark.x, xs), _y(mark.y, ys)
    path = ""
    if mark.x_bar:
        path += f"M{_x(mark.x_bar[0], xs):.1f} {y:.1f}H{_x(mark.x_bar[1], xs):.1f}"
    if mark.y_bar:
        path += f"M{x:.1f} {_y(mark.y_bar[0], ys):.1f}V{_y(mark.y_bar[1], ys):.1f}"
    drawn = f'<path class="bar" d="{path}"/>' if path else ""
    return drawn + (f'<circle class="knee" cx="{x:.1f}" cy="{y:.1f}" r="10"/>' * mark.knee)


def _mark(mark: Mark, xs: tuple[float, float], ys: tuple[float, float], colour: str) -> str:
    x, y = _x(mark.x, xs), _y(mark.y, ys)
    title = f"<title>{escape(mark.label)}</title>"
    if mark.kind == "hand_made":
        shape = f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" fill="{colour}">'
        shape += f"{title}</rect>"
    elif mark.kind == "random":
        path = f"M{x:.1f} {y - 6:.1f}l6 11h-12z"
        shape = f'<path d="{path}" fill="{colour}">{title}</path>'
    else:
        radius = 3 if mark.kind == "trial" else 6
        shape = f'<circle class="{mark.kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}" '
        shape += f'fill="{colour}">{title}</circle>'
    return f'<a href="#{escape(mark.target, quote=True)}">{shape}</a>' if mark.target else shape
