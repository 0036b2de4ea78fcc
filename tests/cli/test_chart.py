"""Charts in plain characters: every point is there, the axes are true, the width is kept."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nas.cli.chart import LOG_FROM, Axis, Marks, draw_chart, envelope

numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
points = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=12)


@example([(0.0, 1.0), (1.0, -1.0), (2.0, 0.0), (4.0, 0.0)], 40, 4)
@given(points, st.integers(40, 120), st.integers(4, 30))
def test_a_chart_keeps_its_width_and_shows_every_cell_that_is_taken(
    given_points: list[tuple[float, float]], width: int, height: int
) -> None:
    lines = draw_chart(
        [Marks("front", "●", given_points)],
        given_points,
        ("cost", "error"),
        width=width,
        height=height,
    )
    assert all(len(line) <= width for line in lines)
    # The border is the first of both: a staircase beyond it is drawn with one of them.
    body = [re.split("[│┤]", line, maxsplit=1)[1] for line in lines[1 : height + 1]]
    across = Axis.over([x for x, _ in given_points], len(lines[height + 1].partition("└")[2]))
    upward = Axis.over([y for _, y in given_points], height)
    for x, y in given_points:
        assert body[height - 1 - upward.cell(y)][across.cell(x)] == "●"


@given(points)
def test_the_ascii_form_has_no_other_character(given_points: list[tuple[float, float]]) -> None:
    marks = [Marks("tried", "·", given_points), Marks("knee", "◆", given_points[:1], ["7"])]
    lines = draw_chart(marks, given_points, ("ms", "error"), ascii_only=True)
    assert all(line.isascii() for line in lines)
    assert lines[0] == "error" and "ms" in lines[-2]


@given(points)
def test_the_frontier_is_what_no_other_point_is_below_and_left_of(
    given_points: list[tuple[float, float]],
) -> None:
    kept = {
        (x, y)
        for x, y in given_points
        if not any(a <= x and b <= y and (a, b) != (x, y) for a, b in given_points)
    }
    found = envelope(given_points)
    assert set(found) == kept
    assert found == sorted(found)


def test_the_frontier_runs_to_the_right_and_then_down() -> None:
    corners = [(0.0, 9.0), (5.0, 5.0), (10.0, 0.0)]
    lines = draw_chart([Marks("front", "●", corners)], corners, ("x", "y"), width=40, height=9)
    drawn = "\n".join(lines)
    assert "●─" in drawn and "─┐" in drawn and drawn.count("┐") == 2
    first = next(line for line in lines if "●" in line)
    assert first.index("●") < first.index("┐")


def test_an_axis_is_logarithmic_where_its_range_asks_for_it() -> None:
    assert not Axis.over([1.0, LOG_FROM], 50).is_log
    wide = Axis.over([1.0, 10.0, 1000.0], 301)
    assert wide.is_log
    assert abs(2 * (wide.cell(10) - wide.cell(1)) - (wide.cell(1000) - wide.cell(10))) <= 2
    assert not Axis.over([0.0, 1000.0], 50).is_log  # no logarithm of 0
    assert not Axis.over([-1.0, 1000.0], 50).is_log
    lines = draw_chart([Marks("", "●", [(1.0, 1.0), (1e4, 2.0)])], [], ("MACs", "error"))
    assert lines[-1].endswith("MACs (log)")  # and no legend without a label
    assert "10k" in lines[-2]


@given(numbers, st.floats(0, 1e6), st.integers(1, 12))
def test_ticks_are_round_few_and_inside(low: float, reach: float, most: int) -> None:
    axis = Axis.over([low, low + reach], 60)
    ticks = axis.ticks(most)
    assert ticks == sorted(ticks)
    assert len(ticks) <= most + 1
    assert all(axis.low <= tick <= axis.high or math.isclose(tick, 0) for tick in ticks)


def test_names_stand_beside_their_points_and_never_on_another() -> None:
    crowd = [(float(place), 1.0) for place in range(40)]
    marks = [Marks("front", "●", [*crowd, (20.0, 5.0)], [*["123"] * 40, "77"])]
    drawn = "\n".join(draw_chart(marks, [], ("x", "y"), width=60, height=10))
    assert "●77" in drawn
    assert drawn.count("●") == 41 + 1  # and one in the legend
    left_only = draw_chart([Marks("", "●", [(0.0, 0.0), (9.0, 9.0)], ["", "4567"])], [], ("x", "y"))
    assert any("4567●" in line or "●4567" in line for line in left_only)


@pytest.mark.parametrize(("value", "text"), [(2.5e6, "2.5M"), (0.25, "0.25"), (5e10, "50G")])
def test_tick_numbers_are_short(value: float, text: str) -> None:
    marks = [Marks("", "●", [(0.0, 0.0), (3 * value, 3 * value)])]
    lines = draw_chart(marks, [], ("x", "y"), height=16)
    assert any(line.strip().startswith(f"{text}┤") for line in lines), lines
