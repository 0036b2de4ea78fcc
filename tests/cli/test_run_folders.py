"""RUN on the command line: names, paths, and the run that was created last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from made_runs import made_run

Nas = Callable[..., Any]


def test_latest_is_the_run_that_was_created_last(nas: Nas) -> None:
    for name in ("zebra", "ant"):
        made_run(Path("runs"), name, trials=2)
    names = [run["name"] for run in nas("runs", "list", "--json").document["runs"]]
    assert nas("front", "latest", "--json").document["run"] == names[-1]
    assert nas("runs", "show", "latest", "--json").document["name"] == names[-1]


def test_a_run_of_that_name_comes_first(nas: Nas) -> None:
    made_run(Path("runs"), "latest", trials=2)
    made_run(Path("runs"), "newer", trials=2)
    assert nas("front", "latest", "--json").document["run"] == "latest"


def test_without_runs_it_says_how_to_make_one(nas: Nas) -> None:
    answer = nas("front", "latest")
    assert answer.code == 3
    assert "There is no run under 'runs' yet." in answer.err
    assert "fix: Make one: nas search wired_cnn --data digits --preset smoke" in answer.err
