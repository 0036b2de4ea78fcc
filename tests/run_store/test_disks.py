"""Disks that are full, read-only, forbidden, broken or gone: real ones where the system allows."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_store.forked import in_child

from nas.errors import EnvironmentFault, RunError
from nas.run_store import Run, atomic, examine, faults
from nas.run_store.atomic import StorageLost

ASKED = {"kind": "trial_asked", "trial": 0, "attempt": 1, "decisions": {"a": 1}}
NOBODY = 65534


@pytest.fixture(autouse=True)
def _no_passes() -> None:
    faults.forget_passes()


def asked(trial: int) -> dict[str, Any]:
    named = {"architecture": {"nodes": []}, "architecture_id": f"s1-{trial}"}
    return {**ASKED, "trial": trial, **named}


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    with Run.create(tmp_path / "runs", "mine", {"a": 1}, {"device": "cpu"}) as run:
        run.append(ASKED)
    return tmp_path / "runs" / "mine"


@pytest.fixture(name="disk")
def _disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A disk of its own, mounted with the given options; skipped where mounting is forbidden."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", request.param, "none", str(place)]
    if mount is None or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.fault("B1", "B2")
@pytest.mark.parametrize("disk", ["size=400k"], indirect=True)
def test_a_full_disk_says_what_is_needed_and_there_and_keeps_what_was_acknowledged(
    disk: Path,
) -> None:
    with Run.create(disk, "mine", {}, {}) as run:
        kept = run.weights.put({"a": np.zeros(1000)})
        message = r"(?s)disk full: cannot write .*\(No space.*: \d+ bytes needed, \d+ bytes free\)"
        with pytest.raises(EnvironmentFault, match=message):
            run.weights.put({"a": np.ones(100_000)})
        assert run.weights.names() == [kept]
        assert list((disk / "mine" / "weights").iterdir()) == [run.weights.path(kept)]
        run.append(ASKED)
        ballast = (disk / "ballast").open("wb", buffering=0)
        with ballast, pytest.raises(OSError, match="No space"):
            while ballast.write(bytes(1024)):
                pass
        acknowledged = run.records()
        full = r"(?s)disk full: cannot append record \d+ \(.* \d+ bytes needed, \d+ bytes free\)"
        with pytest.raises(EnvironmentFault, match=full) as info:
            for number in range(1000):
                run.append({"kind": "verdict", "number": number, "text": "x" * 100})
                acknowledged = run.records()
        assert "nas resume" in str(info.value)
        assert Run.open(disk / "mine").records() == acknowledged
        (disk / "ballast").unlink()
        run.append({"kind": "verdict", "after": True})
    assert examine(disk / "mine") == []


@pytest.mark.fault("B17")
@pytest.mark.parametrize("disk", ["nr_inodes=30"], indirect=True)
def test_a_disk_without_inodes_is_told_from_one_without_space(disk: Path) -> None:
    with Run.create(disk, "mine", {}, {}) as run:
        message = r"(?s)no inodes left: cannot write .*no room for another file, however small"
        with pytest.raises(EnvironmentFault, match=message):
            for number in range(100):
                run.append(asked(number))
                run.write_architectures()
        run.append(asked(100))  # needs no new file
    with pytest.raises(EnvironmentFault, match="no inodes left"):
        Run.open(disk / "mine", write=True)
    assert len(Run.open(disk / "mine").records()) == 3 + number


@pytest.mark.fault("B17")
def test_a_trial_costs_at_most_one_file(path: Path) -> None:
    def count() -> int:
        return sum(1 for _ in path.rglob("*"))

    with Run.open(path, write=True) as run:
        run.append(asked(1))
        run.write_architectures()
        before = count()
        for trial in range(2, 32):
            run.append(asked(trial))
            closed = {"kind": "trial_finished", "trial": trial, "attempt": 1}
            run.append({**closed, "values": {"error": {"value": 0.5}}})
            run.write_architectures()
            run.write_view("front.json", b"[]")
        assert count() - before <= 30 + 1


@pytest.mark.fault("B10")
def test_a_run_that_may_not_be_written_is_refused_before_any_work_and_read(path: Path) -> None:
    """A process without rights of its own, as most users are."""

    def stranger() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        message = r"(?s)Cannot write to the folder mine: Permission denied.*may be written by you"
        with pytest.raises(EnvironmentFault, match=message):
            Run.open(path, write=True)
        with pytest.raises(EnvironmentFault, match="Cannot write to the folder runs: Permission"):
            Run.create(path.parent, "other", {}, {})
        assert len(Run.open(path).records()) == 2

    for folder in (path, path.parent, path.parent.parent):
        folder.chmod(0o555)
    for file in path.iterdir():
        file.chmod(0o444)
    try:
        assert in_child(stranger) == 0
    finally:
        path.parent.parent.chmod(0o700)
        path.parent.chmod(0o700)
        path.chmod(0o700)


@pytest.mark.fault("B10")
@pytest.mark.parametrize("disk", ["size=1m"], indirect=True)
def test_a_read_only_disk_is_refused_before_any_work_and_read(disk: Path) -> None:
    Run.create(disk, "mine", {}, {}).close()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        message = r"(?s)Cannot write to the folder mine: Read-only.*--runs DIR"
        with pytest.raises(EnvironmentFault, match=message):
            Run.open(disk / "mine", write=True)
        assert Run.open(disk / "mine").state() == "created"
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


@pytest.mark.fault("B10", "B1")
@pytest.mark.parametrize(
    ("effect", "message"),
    [
        ("quota", r"(?s)quota used up: cannot append record 2.*Free some space"),
        ("full", r"(?s)disk full: cannot append record 2 \(No space.*bytes needed"),
        ("refused", r"(?s)Cannot append record 2: Permission denied.*may be written by you"),
    ],
)
def test_what_a_disk_says_on_the_way_is_told_with_a_way_out(
    path: Path, monkeypatch: pytest.MonkeyPatch, effect: str, message: str
) -> None:
    with Run.open(path, write=True) as run:
        with monkeypatch.context() as patched:
            patched.setenv(faults.VARIABLE, f"before_append:1:{effect}")
            with pytest.raises(EnvironmentFault, match=message):
                run.append({"kind": "verdict"})
        run.append({"kind": "verdict"})


@pytest.mark.fault("B11")
@pytest.mark.parametrize("loss", ["broken", "readonly", "deleted", "deleted with its parent"])
def test_facts_of_a_run_whose_disk_goes_away_are_kept_in_a_run_beside_it_or_for_now(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
    finished = {"kind": "trial_finished", "trial": 0, "attempt": 1}
    finished["values"] = {"error": {"value": 0.25}}
    run = Run.open(path, write=True)
    if loss.startswith("deleted"):
        shutil.rmtree(path.parent if "parent" in loss else path)
    else:
        monkeypatch.setenv(faults.VARIABLE, f"after_append:1:{loss}")
    beside = tmp_path / "tmp" if "parent" in loss else path.parent
    target = beside / "mine-rescued"
    with pytest.raises(
        StorageLost, match=rf"(?s)All 3 records.*kept in {target};.*nas resume {target}"
    ):
        run.append(finished)
    monkeypatch.delenv(faults.VARIABLE, raising=False)
    with pytest.raises(RunError, match="was opened for reading"):
        run.append({"kind": "verdict"})
    run.close()
    with Run.open(target, write=True) as rescued:
        assert (rescued.name, rescued.config) == ("mine", {"a": 1})
        assert rescued.environment == {"device": "cpu"}
        assert rescued.records()[1:] == [ASKED, finished]
        assert rescued.table().trials[0].value("error") == 0.25
    assert examine(target) == []


@pytest.mark.fault("B11")
@pytest.mark.parametrize("what", ["view", "weights", "architecture"])
def test_a_disk_that_goes_away_under_another_file_leaves_the_facts_whole_too(
    path: Path, what: str
) -> None:
    run = Run.open(path, write=True)
    run.append(asked(1))
    records = run.records()
    shutil.rmtree(path)
    with pytest.raises(StorageLost, match=r"(?s)No such file.*kept in .*mine-rescued;"):
        if what == "view":
            run.write_view("front.json", b"[]")
        elif what == "weights":
            run.weights.put({"a": np.zeros(1)})
        else:
            run.write_architectures()
    run.close()
    assert Run.open(path.parent / "mine-rescued").records() == records


@pytest.mark.fault("B11")
def test_facts_that_can_be_kept_nowhere_are_said_to_be_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise EnvironmentFault("No.")

    with Run.open(path, write=True) as run:
        monkeypatch.setattr("nas.run_store.rescue.make_folder", refuse)
        monkeypatch.setenv(faults.VARIABLE, "before_append:1:broken")
        with pytest.raises(StorageLost, match=r"(?s)could not be kept anywhere else either"):
            run.append({"kind": "verdict"})


@pytest.mark.fault("B11")
def test_a_second_rescue_takes_another_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path.parent / "mine-rescued").mkdir()
    with Run.open(path, write=True) as run:
        monkeypatch.setenv(faults.VARIABLE, "before_append:1:gone")
        with pytest.raises(StorageLost, match=r"kept in .*mine-rescued-1;"):
            run.append({"kind": "verdict"})


@pytest.mark.fault("B12")
def test_every_file_is_flushed_before_it_has_its_name_and_its_folder_after(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of the calls, and that the temporary file lies in the folder of the final one."""
    calls: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def flushed(descriptor: int) -> None:
        calls.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def renamed(source: Path, target: Path) -> Path:
        calls.append(("rename", f"{source} {target}"))
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    atomic.write_bytes(path / "front.json", b"[]")
    (_, temporary), (_, names), (_, folder) = calls
    assert [kind for kind, _ in calls] == ["fsync", "rename", "fsync"]
    assert names == f"{temporary} {path / 'front.json'}"
    assert Path(temporary).parent == path == Path(folder)
    calls.clear()
    with Run.open(path, write=True) as run:
        calls.clear()
        run.append(asked(1))
        assert calls == [("fsync", str(path / "trials.log"))]
        run.write_architectures()  # the folder, once
        calls.clear()
        run.append(asked(2))
        run.write_architectures()
        assert [kind for kind, _ in calls] == ["fsync", "rename"]
        assert "architectures/.tmp-" in calls[1][1] and calls[1][1].endswith("/s1-2.json")


@pytest.mark.fault("B12")
def test_a_rename_to_another_device_is_never_tried(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def across(source: Path, target: Path) -> Path:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    with Run.open(path, write=True) as run:
        run.write_view("front.json", b"old")
        monkeypatch.setattr(Path, "replace", across)
        with pytest.raises(EnvironmentFault, match=r"Cannot write front.json: Invalid cross"):
            run.write_view("front.json", b"new")
        assert run.read_view("front.json") == b"old"
    assert not list(path.glob(".tmp-*"))


@pytest.mark.fault("B13")
def test_names_of_devices_are_no_names_of_runs_and_long_ones_are_told(tmp_path: Path) -> None:
    from nas.errors import ConfigError

    for name in ("con", "nul", "aux", "prn", "com1", "lpt9"):
        with pytest.raises(ConfigError, match=rf"'{name}' is not a name for a run.*device"):
            Run.create(tmp_path, name, {}, {})
    for name in ("CON", "a.", "x" * 300, "nul.txt", "a:b", " a"):
        with pytest.raises(ConfigError, match="is not a name for a run"):
            Run.create(tmp_path, name, {}, {})
    assert list(tmp_path.iterdir()) == []
    Run.create(tmp_path, "y" * 64, {}, {}).close()
    with Run.open(tmp_path / ("y" * 64), write=True) as run:
        run.write_view("v" * 64, b"")
        run.append({**asked(0), "architecture_id": "A" * 128})
        assert run.write_architectures() == [f"architectures/{'A' * 128}.json"]
    deep = tmp_path.joinpath(*(["d" * 250] * 17))
    with pytest.raises(EnvironmentFault, match=r"(?s)File name too long.*shorter path"):
        Run.create(deep, "mine", {}, {})
