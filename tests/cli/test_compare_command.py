"""`nas compare`: tables, a chart, CSV and JSON of the same numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from noisy_runs import noisy_run, noisy_trial

Nas = Callable[..., Any]


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two runs under one folder, the second of them slower and better."""
    root = tmp_path / "runs"
    root.mkdir()
    noisy_run(root, [noisy_trial(0.9, 1.0), noisy_trial(0.5, 2.0)], name="fast")
    noisy_run(root, [noisy_trial(0.45, 3.0), noisy_trial(0.3, 8.0)], name="slow")
    return root


def test_the_tables_name_runs_volumes_budgets_and_doubts(two: Path, nas: Nas) -> None:
    answer = nas("compare", "fast", "slow", "--runs", two, "--budget=2.5", "--budget", "1e4")
    assert answer.code == 0
    out = answer.out
    rows = {line.split()[0]: line for line in out.splitlines() if line[:2] in ("A ", "B ")}
    assert "joint" in out and "hypervolume (95 %)" in out and " to " in out
    assert "2.5 ms" in out and "10,000 ms" in out
    assert "0.3 ± 0.039 (trial 1)" in rows["B"] and " - " in rows["B"]
    assert "note: inherited scores come from each run's own shared weights" in out
    assert "next: nas front " in answer.err


def test_the_chart_marks_each_run_with_its_letter(two: Path, nas: Nas) -> None:
    plain = nas("compare", "fast", "slow", "--runs", two).out
    out = nas("compare", "fast", "slow", "--runs", two, "--chart").out
    chart = out.removesuffix(plain)
    assert chart != out
    assert "A fast   B slow" in chart
    body = chart.partition("A fast")[0]
    assert body.count("A") == 2 and body.count("B") == 2


def test_json_and_csv_tell_the_same(two: Path, nas: Nas) -> None:
    options = ("compare", "fast", "slow", "--runs", two, "--budget=2.5")
    document = nas(*options, "--json").document
    assert document["schema"] == "nas.compare/1"
    rows = list(csv.DictReader(io.StringIO(nas(*options, "--csv").out)))
    assert [row["run"] for row in rows] == ["fast", "slow"]
    for row, each in zip(rows, document["runs"], strict=True):
        assert float(row["hypervolume_value"]) == each["hypervolume"]["value"]
        assert int(row["joint_front"]) == each["joint_front"]
    assert rows[0]["trial within latency_ms[eager,b1,fp32] 2.5"] == "1"
    assert rows[1]["trial within latency_ms[eager,b1,fp32] 2.5"] == ""


def test_the_same_run_twice_is_one_run(two: Path, nas: Nas) -> None:
    answer = nas("compare", "fast", two / "fast", "--runs", two)
    assert answer.code == 2 and "takes 2 to 20 different runs, not 1" in answer.err


def test_runs_of_one_name_are_told_by_their_folders(two: Path, tmp_path: Path, nas: Nas) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    noisy_run(other, [noisy_trial(0.6, 1.5)], name="fast")
    out = nas("compare", two / "fast", other / "fast").out
    assert str(two / "fast") in out and str(other / "fast") in out


def test_an_unknown_run_is_refused(two: Path, nas: Nas) -> None:
    answer = nas("compare", "fast", "fats", "--runs", two)
    assert answer.code == 3 and "fats" in answer.err and "fast" in answer.err
