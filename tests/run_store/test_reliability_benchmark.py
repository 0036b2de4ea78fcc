"""What `make bench NAME=reliability` counts: what is lost is seen to be lost, and told."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from scale import CHECKOUT


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports one module of the benchmark."""
    monkeypatch.syspath_prepend(str(CHECKOUT / "benchmarks"))
    return lambda name: importlib.import_module(f"reliability_sides.{name}")


def test_lost_and_changed_results_are_seen(part: Any) -> None:
    kills = part("kills")
    there = part("base").Outcome({"0": [1.0], "1": [2.0]})
    assert kills.kept(there, [["0", [1.0], "a"], ["1", [2.0], "b"]]) == 2
    assert kills.kept(there, [["0", [1.5], "a"], ["7", [9.0], "c"]]) == 0
    assert kills.kept(there, [["another-id", [2.0], "b"]]) == 1


def test_all_sides_are_struck_at_the_same_moments(part: Any) -> None:
    kills = part("kills")
    moments = kills.fractions(40, seed=1)
    assert kills.fractions(10, seed=1) == moments[:10]
    assert all(kills.FIRST <= moment <= kills.LAST for moment in moments)


def test_a_note_that_a_kill_cut_short_does_not_count(part: Any, tmp_path: Path) -> None:
    base = part("base")
    assert base.noted(tmp_path, "notes") == []
    base.note(tmp_path, "notes", [1, "a"])
    with (tmp_path / "notes").open("a") as file:
        file.write('[2, "b')
    assert base.noted(tmp_path, "notes") == [[1, "a"]]


@pytest.mark.fault("B3", "B4", "G-R5", "G-R7")
def test_our_log_is_whole_behind_every_cut_and_silent_about_no_flip(
    part: Any, tmp_path: Path
) -> None:
    logs = part("logs")
    torn = logs.tear(logs.OurLog(), tmp_path / "torn", step=97)
    assert torn["cuts"] == torn["whole"] > 10
    flipped = logs.flip(logs.OurLog(), tmp_path / "flipped", 50, seed=1)
    assert flipped["silent"] == 0
    assert flipped["refused"] == 50


def test_the_report_has_a_table_per_test_and_says_where_its_numbers_are_from(part: Any) -> None:
    report = part("report")
    rows = [{"side": "ours", "lost": 0}, {"side": "a|b", "lost": 3, "errors": ["Error: gone"]}]
    settings = {"trials": 20, "trial_ms": 16, "patience": 5, "disk": "local", "date": "2026-01-01"}
    document = {
        "tests": {name: rows if name == "kills" else [] for name in report.TITLES},
        "settings": settings,
        "machine": {"processor": "one"},
        "versions": {"optuna": "5"},
    }
    text = report.text(json.loads(json.dumps(document)), command="make bench")
    assert "| side | of these lost |" in text
    assert "| a/b | 3 |" in text
    assert "- a|b said: `Error: gone`" in text
    assert "Machine: processor one. Versions: optuna 5. Made on 2026-01-01." in text
    assert text.count("## ") == 1


@pytest.mark.fault("G-F1")
def test_no_mutant_of_a_file_ends_in_an_error_that_is_none_of_ours(part: Any) -> None:
    fuzz = part("fuzz")
    for kind in fuzz.READERS:
        found = fuzz.parse(kind, 60, seed=2)
        assert found["untyped_errors"] == 0
        assert found["taken"] + found["refused"] == 60
