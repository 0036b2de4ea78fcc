"""RUN on the command line: names, paths, and the run that was created last."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run

from nas.errors import NotFoundError
from nas.run_store import Run
from nas.search.take_home.networks import trial_of

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


def typed(nas: Nas, said: str) -> Any:
    """Type the command that stands in backticks in a message."""
    (command,) = re.findall(r"`nas ([^`]*)`", said)
    return nas(*shlex.split(command))


def test_what_is_to_be_typed_for_a_run_elsewhere_finds_it(nas: Nas) -> None:
    path = made_run(Path("my runs").absolute(), "far")
    with Run.open(path) as run, pytest.raises(NotFoundError) as caught:
        trial_of(run, 99)
    assert typed(nas, str(caught.value)).code == 0
    log = path / "trials.log"
    lines = log.read_bytes().splitlines(True)
    lines[3] = lines[3].replace(b"trial", b"tr1al", 1)
    log.write_bytes(b"".join(lines))
    damaged = nas("front", path)
    assert damaged.code == 2
    assert typed(nas, damaged.err).code == 0
    assert nas("front", path).code == 0
