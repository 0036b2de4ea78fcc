"""The geometry of a drawn network: what its SVG says, read back as points and rectangles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

Point = tuple[float, float]

READ = """() => {
  const attributes = (element, names) => names.map((name) => element.getAttribute(name));
  const svg = document.querySelector('svg.wiring');
  return {
    boxes: [...svg.querySelectorAll('g.box')].map((box) => [
      box.getAttribute('data-node') ?? 'fold:' + box.getAttribute('data-group'),
      ...attributes(box.querySelector('rect.body'), ['x', 'y', 'width', 'height']).map(Number)]),
    groups: [...svg.querySelectorAll('g.group')].map((group) => [
      group.getAttribute('data-group'),
      ...attributes(group.querySelector('rect.frame'), ['x', 'y', 'width', 'height']).map(Number)]),
    wires: [...svg.querySelectorAll('[data-edge]')].map((wire) => [
      ...attributes(wire, ['data-edge', 'data-source', 'data-target']),
      wire.querySelector('path.way').getAttribute('d')]),
  };
}"""


@dataclass(frozen=True)
class Rectangle:
    """A box of the drawing."""

    x: float
    y: float
    width: float
    height: float

    def crossed(self, start: Point, end: Point) -> bool:
        """Tell whether a straight line passes through the inside (Liang and Barsky's clipping)."""
        enter, leave = 0.0, 1.0
        margin = 0.5
        for axis, low, size in ((0, self.x, self.width), (1, self.y, self.height)):
            step = end[axis] - start[axis]
            near, far = low + margin - start[axis], low + size - margin - start[axis]
            if abs(step) < 1e-9:
                if near > 0 or far < 0:
                    return False
                continue
            first, second = sorted((near / step, far / step))
            enter, leave = max(enter, first), min(leave, second)
        return enter < leave

    def touches(self, point: Point) -> bool:
        """Tell whether a point lies on the border, or within a unit of it."""
        x, y = point[0] - self.x, point[1] - self.y
        inside = -1 <= x <= self.width + 1 and -1 <= y <= self.height + 1
        near = min(abs(x), abs(y), abs(x - self.width), abs(y - self.height)) <= 1
        return inside and near


@dataclass(frozen=True)
class Wire:
    """A drawn edge: its straight parts, and its whole way with the bends as short steps."""

    edge: str
    source: str
    target: str
    straight: tuple[tuple[Point, Point], ...]
    way: tuple[Point, ...]


@dataclass(frozen=True)
class Drawing:
    """What is drawn."""

    boxes: dict[str, Rectangle]
    groups: dict[str, Rectangle]
    wires: tuple[Wire, ...]


def read_drawing(page: Page) -> Drawing:
    """Read the drawing that a page shows."""
    found: dict[str, Any] = page.evaluate(READ)
    return Drawing(
        {name: Rectangle(*numbers) for name, *numbers in found["boxes"]},
        {name: Rectangle(*numbers) for name, *numbers in found["groups"]},
        tuple(Wire(*ends, *_ways(path)) for *ends, path in found["wires"]),
    )


def _ways(path: str) -> tuple[tuple[tuple[Point, Point], ...], tuple[Point, ...]]:
    straight: list[tuple[Point, Point]] = []
    way: list[Point] = []
    for letter, text in re.findall(r"([MLQ])([^MLQ]*)", path):
        numbers = [float(each) for each in text.split()]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        if letter == "L":
            straight.append((way[-1], points[0]))
            way.append(points[0])
        elif letter == "M":
            way.append(points[0])
        else:
            way += _bend(way[-1], *points)
    return tuple(straight), tuple(way)


def _bend(start: Point, corner: Point, end: Point) -> list[Point]:
    """Return points of a quadratic curve."""
    found = []
    for place in range(1, 9):
        share = place / 8
        weights = ((1 - share) ** 2, 2 * share * (1 - share), share**2)
        found.append(
            (
                sum(w * p[0] for w, p in zip(weights, (start, corner, end), strict=True)),
                sum(w * p[1] for w, p in zip(weights, (start, corner, end), strict=True)),
            )
        )
    return found


def through_foreign_boxes(drawing: Drawing) -> list[tuple[str, str]]:
    """Return pairs of an edge and a node, not one of its ends, that the edge passes through."""
    return [
        (wire.edge, name)
        for wire in drawing.wires
        for name, box in drawing.boxes.items()
        if name not in (wire.source, wire.target)
        and any(box.crossed(start, end) for start, end in pairwise(wire.way))
    ]


def through_own_boxes(drawing: Drawing) -> list[str]:
    """Return edges that pass through the inside of a node at one of their ends."""
    return [
        wire.edge
        for wire in drawing.wires
        for name in (wire.source, wire.target)
        if any(drawing.boxes[name].crossed(start, end) for start, end in pairwise(wire.way))
    ]


def loose_ends(drawing: Drawing) -> list[str]:
    """Return edges that do not begin at their source or do not end at their target."""
    return [
        wire.edge
        for wire in drawing.wires
        if not (
            drawing.boxes[wire.source].touches(wire.way[0])
            and drawing.boxes[wire.target].touches(wire.way[-1])
        )
    ]


def shared_stretches(drawing: Drawing, distance: float) -> list[tuple[str, str]]:
    """Return pairs of edges that run side by side closer than a distance, in units of the drawing.

    Args:
        drawing: What is drawn.
        distance: Between two parallel lines.
    """
    lying = [(a[1], *sorted((a[0], b[0])), wire.edge) for wire, a, b in _parts(drawing, 1)]
    standing = [(a[0], *sorted((a[1], b[1])), wire.edge) for wire, a, b in _parts(drawing, 0)]
    return [*_too_close(lying, distance), *_too_close(standing, distance)]


def _parts(drawing: Drawing, axis: int) -> Iterator[tuple[Wire, Point, Point]]:
    for wire in drawing.wires:
        for start, end in wire.straight:
            if start[axis] == end[axis]:
                yield wire, start, end


def _too_close(
    parts: Sequence[tuple[float, float, float, str]], distance: float
) -> Iterator[tuple[str, str]]:
    """Sweep over parallel parts `(place, from, to, edge)` in the order of their places."""
    ordered = sorted(parts)
    for index, (place, low, high, edge) in enumerate(ordered):
        for other_place, other_low, other_high, other in ordered[index + 1 :]:
            if other_place - place >= distance:
                break
            if other != edge and min(high, other_high) - max(low, other_low) > 1:
                yield edge, other


def slanted(drawing: Drawing) -> list[str]:
    """Return edges with a straight part that is neither level nor upright."""
    return [
        wire.edge
        for wire in drawing.wires
        for start, end in wire.straight
        if start[0] != end[0] and start[1] != end[1]
    ]
