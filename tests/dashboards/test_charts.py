"""The chart of a front: axes, marks, and what is left out."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.charts import HEIGHT, SHAPES, WIDTH, Mark, draw_front, tick_text, ticks

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = st.floats(-1e12, 1e12, allow_nan=False)


def parse(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<page>{text}</page>")


def marks_of(page: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the elements of marks: those with a title of their own below the chart."""
    return [
        each for each in page.iter() if each.get("fill") and each.find(f"{SVG}title") is not None
    ]


@given(
    st.lists(
        st.builds(
            Mark,
            NUMBERS,
            NUMBERS,
            st.text(st.characters(exclude_categories=["Cs", "Cc"])),
            st.sampled_from(["dense", "mixed", "<b>"]),
            st.sampled_from(list(SHAPES)),
            st.sampled_from(["", "trial-1", '"><script>']),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_mark_is_drawn_inside_the_chart(marks: list[Mark]) -> None:
    text = draw_front(marks, "macs", "error & more")
    page = parse(text)
    beyond = re.search(r"(\d+) of the worst trials", text)
    assert len(marks_of(page)) + int(beyond[1] if beyond else 0) == len(marks)
    for circle in page.iter(f"{SVG}circle"):
        assert 0 <= float(circle.get("cx", "nan")) <= WIDTH
        assert 0 <= float(circle.get("cy", "nan")) <= HEIGHT
    assert not list(page.iter(f"{SVG}script"))


def test_kinds_have_shapes_and_the_front_is_joined_by_steps() -> None:
    marks = [
        Mark(1, 3, "a", "dense", "front"),
        Mark(2, 1, "b", "chain", "front", "trial-7"),
        Mark(2, 2, "c", "chain", "hand_made"),
        Mark(3, 3, "d", "mixed", "random"),
        Mark(3, 4, "e", "mixed"),
    ]
    page = parse(draw_front(marks, "latency (ms)", "error"))
    assert len(list(page.iter(f"{SVG}circle"))) == 3
    assert len(list(page.iter(f"{SVG}rect"))) == 1
    line = next(path for path in page.iter(f"{SVG}path") if path.get("class") == "front-line")
    assert line.get("d", "").count("H") == line.get("d", "").count("V") == 1
    assert [link.get("href") for link in page.iter(f"{SVG}a")] == ["#trial-7"]
    legend = "".join(page.itertext())
    assert all(word in legend for word in ("chain", "dense", "mixed", "latency (ms)"))
    assert all(text in legend for kind, text in SHAPES.items() if kind != "confirmed")
    assert SHAPES["confirmed"] not in legend


def test_nothing_to_draw_is_said() -> None:
    assert draw_front([], "x", "y") == "<p>No finished trial to draw yet.</p>"
    nothing = [Mark(math.nan, 1, "", "dense"), Mark(1, math.inf, "", "dense")]
    assert "No finished trial" in draw_front(nothing, "x", "y")


def test_one_point_has_a_chart_of_its_own() -> None:
    assert len(marks_of(parse(draw_front([Mark(0, 0, "a", "dense", "front")], "x", "y")))) == 1


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert len(found) <= 8
    slack = span * 1e-6 + abs(low) * 1e-12  # floats are that coarse
    assert all(low - slack <= tick <= low + span + slack for tick in found)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.05, "0.05"), (-2500.0, "-2500"), (15e4, "150k"), (2.5e6, "2.5M"), (3e9, "3G")],
)
def test_numbers_on_axes_are_short(value: float, text: str) -> None:
    assert tick_text(value) == text


def test_a_few_terrible_trials_do_not_squeeze_the_chart_and_are_counted() -> None:
    marks = [Mark(index / 10, 2 + index / 100, f"trial {index}", "chain") for index in range(40)]
    marks.append(Mark(1.0, 900.0, "diverged", "chain"))
    marks.append(Mark(0.5, 800.0, "a baseline stays", "dense", "hand_made"))
    chart = draw_front(marks, "latency", "cross-entropy")
    assert "diverged" not in chart
    assert "a baseline stays" in chart
    assert "1 of the worst trials lie beyond the axes" in chart


def test_bars_and_the_knee_are_drawn_inside_the_axes() -> None:
    marks = [
        Mark(1.0, 2.0, "a", "chain", "front", x_bar=(0.5, 1.5), y_bar=(1.9, 2.4), knee=True),
        Mark(2.0, 1.0, "b", "chain", "front"),
    ]
    chart = draw_front(marks, "latency", "cross-entropy")
    page = parse(chart)
    bars = [each for each in page.iter() if each.get("class") == "bar"]
    assert len(bars) == 1
    numbers = [float(each) for each in re.findall(r"[0-9.]+", str(bars[0].get("d")))]
    assert all(0 < number < WIDTH for number in numbers)
    assert sum(each.get("class") == "knee" for each in page.iter()) == 1
    assert "95 % interval" in chart and "◯ knee" in chart
    plain = draw_front(marks[1:], "latency", "cross-entropy")
    assert "interval" not in plain and "knee" not in plain
