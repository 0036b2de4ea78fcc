"""Typing a command in this process, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from as_before import as_before
from made_runs import made_run

from nas.cli.main import run


@dataclass(frozen=True)
class Answer:
    """Exit code, data and talk of one command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        import json

        return json.loads(self.out)


Nas = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo what the command line does to the library's logger."""
    with as_before():
        yield


@pytest.fixture
def nas(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nas:
    """Run `nas` with the given arguments inside an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")

    def type_in(*arguments: object) -> Answer:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Answer(code, out, err)

    return type_in


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run made by hand; only to be read."""
    return made_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def own_run(nas: Nas) -> Path:
    """A run called `mine`, to be changed, under `runs/` of the folder commands are typed in."""
    return made_run(Path("runs"), "mine", trials=3)


QUICK = (
    "--preset=smoke",
    "--seed=3",
    "--executor=inline",
    "--set=objectives=[error, macs]",
    "--set=max_train_images=400",
    "--set=search.batch=4",
    "--set=supernet.training.epochs=1",
    "--set=supernet.relaxation.epochs=1",
    "--set=supernet.relaxation.proposals=1",
    "--set=confirm.bins=1",
    "--set=confirm.shortlist=1",
    "--set=confirm.recipe.epochs=1",
    "--set=confirm.baselines={hand_made: 1, random: 1}",
    "--set=confirm.rivals=[space_wirings, random_members]",
)
"""Options that take a search on digits through every stage in seconds."""


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A real run called `real`, and what the search printed; only to be read."""
    import contextlib
    import io

    root = tmp_path_factory.mktemp("searched")
    out, err = io.StringIO(), io.StringIO()
    arguments = ["search", "tiny_exhaustive", *QUICK, "--trials=8", "--name=real"]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([*arguments, f"--runs={root}"])
    assert code == 0, err.getvalue()
    return root / "real", out.getvalue(), err.getvalue()
