"""What a notebook shows of a run: the front as a table, every name as text."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from made_runs import made_run
from noisy_runs import noisy_run, noisy_trial

from nas.search.api import SearchRun
from nas.search.front.html import MOST_ROWS, run_html
from nas.search.front_view import front_csv, front_document


def test_a_run_shows_its_front_as_a_table(tmp_path: Path) -> None:
    run = noisy_run(tmp_path, [noisy_trial(1.0, 1.0), noisy_trial(0.3, 1.3), noisy_trial(9.0, 9.0)])
    page = ElementTree.fromstring(SearchRun(run)._repr_html_())
    rows = [[cell.text for cell in row] for row in page.iter("tr")]
    assert rows[0][:3] == ["trial", "P(front)", "cross_entropy (nats)"]
    assert [row[0] for row in rows[1:]] == ["1", "0"]
    assert "±" in str(rows[1][2])
    assert "2 points on the front" in ElementTree.tostring(page, encoding="unicode")


def test_an_empty_front_has_no_table_and_a_long_one_is_cut(tmp_path: Path) -> None:
    empty = {"points": [], "trust": None, "stamp": "smoke, not evidence"}
    assert "<table" not in run_html("mine", "created", empty)
    assert "smoke, not evidence" in run_html("mine", "created", empty)
    document = front_document(noisy_run(tmp_path, [noisy_trial(1.0, 1.0)]))
    many = {**document, "points": document["points"][:1] * (MOST_ROWS + 5)}
    text = run_html("mine", "finished", many)
    assert text.count("<tr>") == MOST_ROWS + 1
    assert f"the first {MOST_ROWS} of {MOST_ROWS + 5}" in text


@pytest.mark.fault("F2")
def test_hostile_names_are_text() -> None:
    hostile = "<script>alert('x')</script>"
    objective = {"value": 1.0, "unit": hostile, "high": None}
    point = {"trial": 0, "objectives": {hostile: objective}, "wiring": hostile}
    text = run_html(hostile, hostile, {"points": [point], "trust": {"verdict": hostile}})
    assert "<script" not in text
    assert ElementTree.fromstring(text).find("p/strong").text == hostile  # type: ignore[union-attr]


def test_a_front_is_a_data_frame_with_the_columns_of_its_csv(tmp_path: Path) -> None:
    run = noisy_run(tmp_path, [noisy_trial(1.0, 1.0), noisy_trial(0.3, 1.3)])
    opened = SearchRun(run)
    frame = opened.front()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == next(csv.reader(io.StringIO(front_csv(run).decode())))
    assert list(frame["trial"]) == [point["trial"] for point in opened.front_points()]
    assert frame["cross_entropy (nats)"].dtype == float and frame["knee"].dtype == bool
    assert frame["ties"].map(type).eq(list).all()


def test_an_empty_run_has_an_empty_front(tmp_path: Path) -> None:
    opened = SearchRun.open(made_run(tmp_path, trials=0))
    assert len(opened.front()) == 0 and opened.front_points() == []
    assert "0 points on the front" in opened._repr_html_()
