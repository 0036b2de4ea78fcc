"""The helpers behind `make bench`: order of the calls, worst row, last line."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from scale import CHECKOUT


@pytest.fixture(scope="module")
def harness() -> ModuleType:
    path = CHECKOUT / "benchmarks" / "harness.py"
    spec = importlib.util.spec_from_file_location("harness", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["harness"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_sides_take_turns_there_and_back(harness: ModuleType) -> None:
    order: list[str] = []
    sides = [lambda: order.append("A"), lambda: order.append("B"), lambda: order.append("C")]
    seconds = harness.interleave(sides, rounds=2, warm_up=1)
    assert "".join(order) == "ABC" + 2 * "ABCCBA"
    assert [len(side) for side in seconds] == [2, 2, 2]


def test_a_row_is_the_median_of_ratios_and_their_range(harness: ModuleType) -> None:
    row = harness.ratio_row("x", [2.0, 4.0, 6.0, 8.0, 100.0], [2.0] * 5)
    assert (row.ratio, row.spread) == (3.0, 2.0)
    assert harness.interquartile_range([1.0]) == 0.0


@pytest.mark.parametrize(("overhead", "worst"), [(False, 1.5), (True, 2.5)])
def test_the_last_line_is_one_object_with_the_worst_row(
    harness: ModuleType, capsys: pytest.CaptureFixture[str], overhead: bool, worst: float
) -> None:
    rows = [harness.Row("a", 1.5, 0.1), harness.Row("b", 2.5, 0.2)]
    harness.print_row(rows[0])
    harness.finish("some", rows, unit="x", threads=1, overhead=overhead)
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(document) == {"name", "rows", "ratio", "unit", "machine"}
    assert document["ratio"] == worst
    assert document["rows"][1] == {"case": "b", "ratio": 2.5, "spread": 0.2}
    assert "host" not in str(document["machine"])


def test_only_counted_rows_decide_and_a_recorded_line_is_a_file(
    harness: ModuleType,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")
    rows = [harness.Row("a", 1.5, 0.1), harness.Row("b", 9.0, 0.2)]
    given = {"unit": "x", "threads": 1, "overhead": True, "counted": rows[:1], "record": True}
    written = harness.finish("some", rows, **given)
    assert written["ratio"] == 1.5
    recorded = (tmp_path / "results" / "some.json").read_text(encoding="utf-8")
    assert json.loads(recorded) == json.loads(capsys.readouterr().out.splitlines()[-1])
