"""`nas runs export`: all formats at once, one or all runs, and nothing replaced."""

from __future__ import annotations

import builtins
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run

from nas.run_store import Run

Nas = Callable[..., Any]


@pytest.fixture
def runs(nas: Nas) -> Path:
    """Two small runs, a study of nas and a damaged folder under `runs/`."""
    root = Path("runs")
    for name in ("one", "two"):
        made_run(root, name, trials=2)
    with Run.create(root, "table", {"schema": "nas.study/1"}, {}):
        pass
    made_run(root, "broken", trials=1).joinpath("environment.json").write_text("{", "utf-8")
    return root


def test_all_formats_of_all_runs_at_once(nas: Nas, runs: Path) -> None:
    formats = ("--optuna=s.log", "--tensorboard=tb", "--csv=t.csv", "--parquet=t.parquet")
    answer = nas("runs", "export", "--all", *formats)
    assert answer.code == 0, answer.err
    assert answer.out.split() == ["s.log", "tb", "t.csv", "t.parquet"]
    assert "left out: broken" in answer.err and "left out: table: a study of nas" in answer.err
    assert "next: pip install optuna-dashboard; optuna-dashboard s.log" in answer.err
    assert sorted(path.name for path in Path("tb").iterdir()) == ["one", "two"]
    with Path("t.csv").open(encoding="utf-8", newline="") as file:
        assert [row["run"] for row in csv.DictReader(file)] == ["one"] * 2 + ["two"] * 2
    assert not [path for path in Path().rglob(".tmp-*") if runs not in path.parents]


REFUSALS = {
    "No format was asked for.": ["one"],
    "Which runs?": ["--csv=t.csv"],
    "Name the runs to export, or give --all; not both.": ["one", "--all", "--csv=t.csv"],
    "there.csv exists already.": ["one", "--csv=there.csv"],
    "where: --optuna": ["one", "--optuna=there.csv"],
    "nowhere does not exist.": ["one", "--csv=nowhere/t.csv"],
    "t.csv is asked for twice.": ["one", "--csv=t.csv", "--parquet=t.csv"],
    "tb/one exists already.": ["one", "--tensorboard=tb"],
    "'table' is a study, not a search.": ["table", "--csv=t.csv"],
    "Two of the runs are called 'one'.": ["one", "elsewhere/one", "--csv=t.csv"],
}


def test_what_cannot_be_written_is_refused_before_anything_is(nas: Nas, runs: Path) -> None:
    Path("there.csv").write_text("mine", encoding="utf-8")
    Path("tb/one").mkdir(parents=True)
    made_run(Path("elsewhere"), "one", trials=1)
    before = sorted(path.name for path in Path().iterdir())
    for message, arguments in REFUSALS.items():
        answer = nas("runs", "export", *arguments)
        assert answer.code == 2 and message in answer.err and "fix: " in answer.err, message
        assert sorted(path.name for path in Path().iterdir()) == before
    assert Path("there.csv").read_text(encoding="utf-8") == "mine"


def test_all_of_an_empty_folder_is_nothing(nas: Nas) -> None:
    answer = nas("runs", "export", "--all", "--csv=t.csv")
    assert answer.code == 3 and "There is no run in runs." in answer.err


def test_a_missing_tensorboard_is_told_with_its_extra(
    nas: Nas, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "tensorboardX":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    answer = nas("runs", "export", "one", "--csv=t.csv", "--tensorboard=tb")
    assert answer.code == 2 and "pip install 'nas[tensorboard]'" in answer.err
    assert not Path("t.csv").exists() and not Path("tb").exists()


def test_many_trials_are_warned_of(nas: Nas, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.cli.runs_export._MANY_TRIALS", 1)
    answer = nas("runs", "export", "one", "--optuna=study.db")
    assert answer.code == 0 and "(--optuna study.log) is ten times as fast" in answer.err
    assert "optuna-dashboard sqlite:///study.db" in answer.err
