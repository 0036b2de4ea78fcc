"""CSV that a spreadsheet opens as data."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.config_files import csv_text, no_formula


@pytest.mark.fault("F3")
@given(st.lists(st.text(), min_size=1, max_size=4))
def test_every_text_comes_back_and_none_begins_a_formula(texts: list[str]) -> None:
    written = csv_text(["a"] * len(texts), [texts])
    _, row = csv.reader(io.StringIO(written, newline=""))
    for cell, text in zip(row, texts, strict=True):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        same = text.replace("\r\n", "\n").replace("\r", "\n")
        assert cell in (same, f"'{same}")


def test_numbers_stay_numbers_and_nothing_is_an_empty_cell() -> None:
    assert csv_text(["x", "=y"], [[-1.5, None], [True, "+1"]]) == "x,'=y\n-1.5,\ntrue,'+1\n"
    assert no_formula("@SUM(A1)") == "'@SUM(A1)" and no_formula("dense") == "dense"
