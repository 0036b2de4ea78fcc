"""`nas runs`, `nas stop`, and how a run is found by name or path."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run

from nas.cli.run_folders import find_run, shown_run
from nas.errors import NotFoundError, RunError
from nas.run_store import Run

Nas = Callable[..., Any]


@pytest.fixture
def local(nas: Nas) -> Path:
    """A run of its own under `runs/` of the folder the command is typed in."""
    return made_run(Path("runs"), "mine", trials=3)


class TestFinding:
    def test_a_name_is_looked_up_under_the_folder_of_runs(self, made: Path) -> None:
        assert find_run("made", made.parent) == made

    def test_a_text_with_a_slash_is_a_path(self, made: Path) -> None:
        assert find_run(str(made), Path("elsewhere")) == made
        assert find_run(f"{made}/", Path("elsewhere")) == made

    def test_inside_a_run_it_is_called_dot(
        self, made: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(made)
        assert find_run(".") == made

    def test_a_run_under_runs_wins_over_a_folder_of_that_name(
        self, local: Path, tmp_path: Path
    ) -> None:
        Path("mine").mkdir()
        assert find_run("mine") == local

    def test_what_is_missing_is_answered_with_near_names(self, made: Path) -> None:
        with pytest.raises(NotFoundError, match=r"no run 'mad'[\s\S]*Did you mean 'made'"):
            find_run("mad", made.parent)

    def test_a_folder_that_is_no_run_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"is not a run folder[\s\S]*nas runs list"):
            find_run(str(tmp_path))

    def test_what_to_type_is_short_under_runs(self, made: Path) -> None:
        assert shown_run(Path("runs/a").absolute()) == "a"
        assert shown_run(made) == str(made)


class TestList:
    def test_runs_are_listed_with_their_state(self, local: Path, nas: Nas) -> None:
        (made_run(Path("runs"), "torn", trials=1) / "run.yaml").write_bytes(b"[1")
        answer = nas("runs", "list")
        assert answer.code == 0
        assert [line.split()[:2] for line in answer.out.splitlines()[1:]] == [
            ["torn", "damaged"],
            ["mine", "finished"],
        ]
        document = nas("runs", "list", "--json").document
        assert document["schema"] == "nas.runs/1"
        assert document["runs"][1]["finished"] == 3
        assert "run.yaml is damaged" in document["runs"][0]["problem"]

    def test_an_empty_folder_has_no_runs(self, nas: Nas) -> None:
        answer = nas("runs", "list")
        assert answer.code == 0
        assert "no runs in runs; start one with: nas search" in answer.err
        assert nas("runs", "list", "--json").document == {"schema": "nas.runs/1", "runs": []}
        assert list(Path().iterdir()) == []


class TestShow:
    def test_a_run_is_shown_with_trials_and_settings(self, local: Path, nas: Nas) -> None:
        with Run.open(local, write=True) as run:
            run.append({"kind": "trial_asked", "trial": 8, "attempt": 1, "decisions": {}})
            run.append({"kind": "trial_failed", "trial": 8, "attempt": 1, "reason": "oom"})
            run.append({"kind": "trial_asked", "trial": 9, "attempt": 1, "decisions": {}})
        shown = nas("runs", "show", "mine").out
        assert "3 finished, 1 failed (1 oom), 1 open" in shown
        assert "explore: finished" in shown
        assert "preset: smoke" in shown
        document = nas("runs", "show", "mine", "--json").document
        assert document["schema"] == "nas.run_description/1"
        assert document["state"] == "interrupted"
        assert document["trials"]["failures"] == {"oom": 1}
        assert document["environment"]["data"]["input_shape"] == [1, 8, 8]

    def test_who_runs_it_is_named(self, local: Path, nas: Nas) -> None:
        with Run.open(local, write=True):
            assert "pid" in nas("runs", "show", "mine").out

    @pytest.mark.parametrize(
        "command", [["runs", "show"], ["runs", "rebuild"], ["runs", "rm", "-y"], ["stop"]]
    )
    def test_missing_is_3_and_no_run_is_2(self, command: list[str], nas: Nas) -> None:
        answer = nas(*command, "nothing")
        assert answer.code == 3
        assert answer.err.startswith("error: There is no run 'nothing'.")
        Path("folder").mkdir()
        answer = nas(*command, "folder")
        assert answer.code == 2
        assert answer.err.startswith("error: 'folder' is not a run folder.")
        Path("file").write_text("x")
        assert nas(*command, "file").code == 2
        assert sorted(path.name for path in Path().iterdir()) == ["file", "folder"]


class TestRemove:
    def test_a_confirmed_run_is_gone(self, local: Path, nas: Nas) -> None:
        answer = nas("runs", "rm", "mine", "--yes")
        assert answer.code == 0
        assert answer.out == f"removed {local}\n"
        assert not local.exists()

    def test_nobody_to_ask_removes_nothing(self, local: Path, nas: Nas) -> None:
        answer = nas("runs", "rm", "mine")
        assert answer.code == 2
        assert "Nobody is there to confirm that mine is to be deleted" in answer.err
        assert "--yes" in answer.err
        assert local.exists()

    @pytest.mark.parametrize(("said", "code"), [("n\n", 130), ("y\n", 0)])
    def test_a_person_is_asked(
        self, said: str, code: int, local: Path, nas: Nas, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        monkeypatch.setattr(sys, "stdin", Terminal(said))
        assert nas("runs", "rm", "mine").code == code
        assert local.exists() == bool(code)

    def test_one_wrong_name_removes_none(self, local: Path, nas: Nas) -> None:
        assert nas("runs", "rm", "mine", "other", "-y").code == 3
        assert local.exists()

    def test_a_run_in_use_stays(self, local: Path, nas: Nas) -> None:
        with Run.open(local, write=True):
            answer = nas("runs", "rm", "mine", "-y")
        assert answer.code == 2
        assert "Run 'mine' is in use by pid" in answer.err
        assert local.exists()


class TestStop:
    def test_the_owner_is_asked(self, local: Path, nas: Nas) -> None:
        with Run.open(local, write=True) as run:
            answer = nas("stop", "mine")
            assert answer.code == 0
            assert answer.out.startswith("asked pid ")
            assert "nas resume mine" in answer.err
            assert run.stop_requested()
            assert nas("stop", "mine", "--json").document["schema"] == "nas.stop/1"

    def test_a_run_nobody_runs_cannot_be_stopped(self, local: Path, nas: Nas) -> None:
        before = sorted(local.rglob("*"))
        answer = nas("stop", "mine")
        assert answer.code == 2
        assert "Run 'mine' is not running, so there is nothing to stop" in answer.err
        assert sorted(local.rglob("*")) == before


def test_a_copied_run_opens_where_it_is(local: Path, nas: Nas, tmp_path: Path) -> None:
    shutil.copytree(local, tmp_path / "copy")
    assert nas("runs", "show", tmp_path / "copy", "--json").document["name"] == "copy"
