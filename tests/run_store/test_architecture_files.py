"""Files of architectures follow from the log: what becomes of them changes nothing else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.errors import RunError
from nas.run_store import Run, examine, rebuild_views
from nas.run_store.architectures import ArchitectureFiles

pytestmark = pytest.mark.usefixtures("_no_views")

NETWORK = {"schema": "nas.architecture/1", "nodes": [{"name": "ä"}], "edges": []}
TEXT = json.dumps(NETWORK, separators=(",", ":"), sort_keys=True)


def asked(trial: int, identity: str, architecture: Any) -> dict[str, Any]:
    named = {"architecture": architecture, "architecture_id": identity}
    return {"kind": "trial_asked", "trial": trial, "attempt": 1, **named}


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    with Run.create(tmp_path, "mine", {}, {}) as run:
        for trial in range(3):
            run.append(asked(trial, f"s1-{trial}", NETWORK))
        assert run.write_architectures() == [f"architectures/s1-{trial}.json" for trial in range(3)]
        assert run.write_architectures() == []
    return tmp_path / "mine"


def kept(path: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (path / "architectures").iterdir()}


def linked(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/passwd")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "missing"),
    "empty": (lambda file: file.write_bytes(b""), "not what the log says"),
    "torn": (lambda file: os.truncate(file, 10), "not what the log says"),
    "zeros": (lambda file: file.write_bytes(bytes(len(TEXT))), "not what the log says"),
    "a link": (linked, "not what the log says"),
}
"""What a power loss, or a stranger, leaves of a file; and what is said of it."""


@pytest.mark.fault("B12", "B15", "B16")
@pytest.mark.parametrize("damage", list(DAMAGES))
def test_what_is_left_of_the_files_is_named_and_made_right_with_the_next_views(
    path: Path, damage: str
) -> None:
    before = kept(path)
    harm, said = DAMAGES[damage]
    for file in (path / "architectures").iterdir():
        harm(file)
    found = [each for each in examine(path) if each.level == "warning"]
    assert [each.what for each in found] == [
        f"Files of architectures are {said}: s1-0, s1-1, s1-2."
    ]
    assert found[0].fix == f"nas runs rebuild {path}" and found[0].lost == "nothing"
    reader = Run.open(path)
    assert [reader.architecture_of(trial) for trial in reader.table().stale()] == 3 * [NETWORK]
    with Run.open(path, write=True) as run:
        rebuild_views(run)
    assert kept(path) == before == {f"s1-{trial}.json": TEXT for trial in range(3)}
    assert examine(path) == []


@pytest.mark.fault("B11", "B12")
def test_a_folder_that_is_lost_under_an_owner_comes_back_with_the_next_network(path: Path) -> None:
    with Run.open(path, write=True) as run:
        assert run.write_architectures() == []
        shutil.rmtree(path / "architectures")
        run.append(asked(3, "s1-3", {}))
        assert run.write_architectures() == ["architectures/s1-3.json"]


def test_of_trials_that_write_one_network_differently_the_first_is_kept(path: Path) -> None:
    with Run.open(path, write=True) as run:
        run.append(asked(3, "s1-0", {"nodes": []}))
        run.append({**asked(0, "s1-0", {}), "attempt": 2})
        assert run.write_architectures() == []
    assert kept(path)["s1-0.json"] == TEXT


def test_of_many_lost_files_the_first_are_named_and_the_others_counted(path: Path) -> None:
    with Run.open(path, write=True) as run:
        for trial in range(3, 13):
            run.append(asked(trial, f"s1-{trial}", NETWORK))
        assert [each.level for each in examine(path)] == ["note"]  # in use: their owner is behind
    (found,) = examine(path)
    assert found.what == (
        "Files of architectures are missing: "
        "s1-3, s1-4, s1-5, s1-6, s1-7, s1-8, s1-9, s1-10 and 2 more."
    )


def test_records_without_an_architecture_have_no_file(path: Path) -> None:
    with Run.open(path, write=True) as run:
        run.append(asked(3, "s1-3", "s1-3"))
        run.append(asked(4, "s1-4", None))
        assert run.write_architectures() == []
        for number in (3, 4):
            with pytest.raises(RunError, match=rf"(?s)trial {number} holds no arch.*nas front"):
                run.architecture_of(run.table().trials[number])


def test_an_id_that_is_no_plain_name_is_refused_and_named(path: Path) -> None:
    with Run.open(path, write=True) as run:
        run.append(asked(3, "../trials", NETWORK))
        with pytest.raises(RunError, match="is not the id of an architecture"):
            run.write_architectures()
    (found,) = examine(path)
    assert (found.level, found.fix) == ("error", "Use the id that the architecture reports.")
    assert "'../trials'" in found.what


def test_files_that_could_not_be_written_are_written_the_next_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ArchitectureFiles(path)
    records = [asked(trial, f"s1-{trial}", NETWORK) for trial in (7, 8)]

    def full(*_: object, **__: object) -> None:
        raise RunError("No room.")

    with monkeypatch.context() as patched, pytest.raises(RunError, match="No room"):
        patched.setattr("nas.run_store.architectures.write_bytes", full)
        files.follow(records)
    assert files.follow(records) == ["architectures/s1-7.json", "architectures/s1-8.json"]
