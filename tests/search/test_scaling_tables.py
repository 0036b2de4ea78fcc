"""docs/scaling.md holds what the benchmark recorded."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
from scale import CHECKOUT


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(CHECKOUT / "benchmarks"))
    return importlib.import_module("scaling_parts.tables")


def test_the_tables_of_the_page_are_those_of_the_results(tables: Any) -> None:
    results = json.loads(tables.RESULTS.read_text(encoding="utf-8"))
    page = tables.PAGE.read_text(encoding="utf-8")
    told = (
        "type: python benchmarks/scaling_parts/tables.py, and read the sentences around them again"
    )
    assert tables.with_tables(page, results) == page, told
    results["driver"]["96"]["resume"] |= {"imports_cpu_s": 7.0, "resume_cpu_s": 70.0}
    assert "| 96 | 77.0 s | 7.0 s |" in tables.with_tables(page, results)


def test_a_page_without_a_place_for_a_table_is_not_written(tables: Any) -> None:
    results = json.loads(tables.RESULTS.read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match="lacks the lines <!-- begin scaling driver -->"):
        tables.with_tables("# A page", results)
