"""A scatter chart in plain characters: marks, a staircase along the frontier, round ticks.

A cell holds one character, so a mark that comes later wins its cell. An axis is logarithmic where
its values are positive and span more than a factor of `LOG_FROM`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, final

Point = tuple[float, float]

LOG_FROM: Final = 20.0
_ASCII: Final = str.maketrans("●◆○·─│┐┤┼└┬", "o#@.-|.++++")
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_COLUMNS_PER_TICK: Final = 12
_ROWS_PER_TICK: Final = 4
_EMPTY: Final = " "


@final
@dataclass(frozen=True)
class Marks:
    """Points of one kind.

    Args:
        label: What the legend calls them; empty leaves them out of it.
        mark: One character, of `●◆○·`.
        points: Pairs (x, y), finite.
        names: A short text beside each point where there is room, or nothing.
    """

    label: str
    mark: str
    points: Sequence[Point]
    names: Sequence[str] = ()


@final
@dataclass(frozen=True)
class Axis:
    """A scale between two ends.

    Args:
        low: Value at the first cell.
        high: Value at the last cell, above `low`.
        cells: Characters along it, at least 2.
        is_log: Whether equal factors, not differences, take equal room.
    """

    low: float
    high: float
    cells: int
    is_log: bool

    @classmethod
    def over(cls, values: Sequence[float], cells: int) -> Axis:
        """Return the axis that shows all of some values, with a little room around them."""
        low, high = min(values), max(values)
        if low > 0 and high / low > LOG_FROM:
            room = (high / low) ** 0.04
            return cls(low / room, high * room, cells, True)
        room = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
        return cls(low - room, high + room, cells, False)

    def cell(self, value: float) -> int:
        """Return the cell of a value."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        share = (self._scaled(value) - low) / (high - low)
        return min(self.cells - 1, max(0, round(share * (self.cells - 1))))

    def ticks(self, most: int) -> list[float]:
        """Return round values inside the axis, at most about `most` of them, ascending."""
        return self._log_ticks(most) if self.is_log else self._linear_ticks(most)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.is_log else value

    def _linear_ticks(self, most: int) -> list[float]:
        rough = (self.high - self.low) / max(1, most)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * each for each in _STEPS if power * each >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [step * place for place in range(first, last + 1)]

    def _log_ticks(self, most: int) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found: list[float] = []
        for digits in ((1, 2, 5), (1, 3), (1,)):
            values = (digit * 10.0**decade for decade in decades for digit in digits)
            found = [value for value in values if self.low <= value <= self.high]
            if len(found) <= most:
                break
        return found[:: max(1, math.ceil(len(found) / max(1, most)))]


def draw_chart(
    marks: Sequence[Marks],
    frontier: Sequence[Point],
    labels: tuple[str, str],
    *,
    width: int = 80,
    height: int = 16,
    ascii_only: bool = False,
) -> list[str]:
    """Return the lines of a chart.

    Args:
        marks: What is drawn; later ones lie on top. At least one point in all.
        frontier: Points whose lower left envelope is drawn as a staircase.
        labels: Names of the axes (x, y).
        width: Columns of the longest line, at least 40.
        height: Rows between the axes, at least 4.
        ascii_only: Use no character beyond ASCII.
    """
    points = [point for kind in marks for point in kind.points]
    rows = Axis.over([y for _, y in points], max(4, height))
    ticks = _tick_texts(rows, max(2, height // _ROWS_PER_TICK))
    margin = max(map(len, ticks.values()), default=1) + 1
    columns = Axis.over([x for x, _ in points], max(40, width) - margin - 1)
    cells = [[_EMPTY] * columns.cells for _ in range(rows.cells)]
    _draw_staircase(cells, [(columns.cell(x), rows.cell(y)) for x, y in envelope(frontier)])
    for kind in marks:
        for x, y in kind.points:
            cells[rows.cell(y)][columns.cell(x)] = kind.mark
    for kind in marks:
        for (x, y), name in zip(kind.points, kind.names, strict=False):
            _write_beside(cells[rows.cell(y)], columns.cell(x), name)
    lines = [labels[1]]
    for row in reversed(range(rows.cells)):
        border = "┤" if row in ticks else "│"
        lines.append(f"{ticks.get(row, ''):>{margin}}{border}{''.join(cells[row])}".rstrip())
    lines += _bottom(columns, labels[0], margin)
    lines += _legend([kind for kind in marks if kind.label and kind.points], margin)
    return [line.translate(_ASCII) for line in lines] if ascii_only else lines


def envelope(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other is below and left of, by ascending x."""
    found: list[Point] = []
    for x, y in sorted(set(points)):
        if not found or y < found[-1][1]:
            found.append((x, y))
    return found


def _draw_staircase(cells: list[list[str]], corners: Sequence[tuple[int, int]]) -> None:
    """Join corners, ascending in x and descending in y: to the right first, then down."""
    for (x1, y1), (x2, y2) in pairwise(corners):
        for x in range(x1, x2):
            cells[y1][x] = "─"
        for y in range(y2, y1):
            cells[y][x2] = "│"
        cells[y1][x2] = "─" if y1 == y2 else "┐"


def _write_beside(row: list[str], column: int, name: str) -> None:
    """Write a text right or left of a mark where nothing else stands, else not at all."""
    for start in (column + 1, column - len(name)):
        around = row[max(0, start - 1) : start + len(name) + 1]
        inside = start >= 0 and start + len(name) <= len(row)
        # The mark itself, and a line that ends at it, may stand beside the text.
        taken = sum(cell not in (_EMPTY, "│") for cell in around)
        if name and inside and taken <= 1 and set(row[start : start + len(name)]) == {_EMPTY}:
            row[start : start + len(name)] = name
            return


def _tick_texts(axis: Axis, most: int) -> dict[int, str]:
    """Return the text at each cell that has one."""
    return {axis.cell(value): _short(value) for value in axis.ticks(most)}


def _short(value: float) -> str:
    """Return a number in few characters: `0.25`, `150k`, `2.5M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < 1000 * size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def _bottom(axis: Axis, label: str, margin: int) -> list[str]:
    """Return the lower axis, its numbers, and its name at the right."""
    ticks = _tick_texts(axis, max(2, axis.cells // _COLUMNS_PER_TICK))
    line = "".join("┬" if cell in ticks else "─" for cell in range(axis.cells))
    numbers = [_EMPTY] * (axis.cells + margin + 1)
    for cell, text in ticks.items():
        start = min(margin + 1 + cell - len(text) // 2, len(numbers) - len(text))
        if set(numbers[start - 1 : start + len(text)]) == {_EMPTY}:
            numbers[start : start + len(text)] = text
    width = len(numbers)
    name = f"{label} (log)" if axis.is_log else label
    return [f"{'':>{margin}}└{line}", "".join(numbers).rstrip(), f"{name:>{width}}"]


def _legend(kinds: Sequence[Marks], margin: int) -> list[str]:
    text = "   ".join(f"{kind.mark} {kind.label}" for kind in kinds)
    return [f"{'':>{margin}} {text}"] if text else []
