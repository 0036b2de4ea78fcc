"""A run of an older format opens, is migrated on a copy, and survives being killed meanwhile."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_store.forked import KILLED, in_child
from scale import CHECKOUT

from nas.errors import EnvironmentFault, NotFoundError, RunError
from nas.run_store import Run, examine, faults, list_runs, repair
from nas.run_store.layout import VERSION
from nas.run_store.migrations import (
    MIGRATIONS,
    Migration,
    steps_between,
    take_up_environment,
    take_up_record,
)
from nas.run_store.migrations.to_2 import with_keys_of_today
from nas.run_store.records import encode

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["level", "published", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)

FAILED = {"kind": "trial_failed", "trial": 0, "attempt": 1, "reason": "crash"}
RECORDS = [
    {"kind": "stage_started", "stage": "explore"},
    {"kind": "trial_asked", "trial": 0, "attempt": 1, "decisions": {"a": 1}},
    FAILED,
]


def make_old(path: Path, version: int = 1) -> Path:
    """Turn a run of this version into one of an older format, by hand."""
    file = path / "environment.json"
    found = json.loads(file.read_text())
    file.write_text(json.dumps({**found, "schema": f"nas.run/{version}"}))
    return path


@pytest.fixture(name="old")
def _old(tmp_path: Path) -> Path:
    with Run.create(tmp_path, "old", {"a": 1}, {"device": "cpu"}) as run:
        for record in RECORDS:
            run.append(record)
    return make_old(tmp_path / "old")


def files_of(path: Path) -> dict[str, bytes]:
    files = (file for file in path.rglob("*") if file.is_file() and file.name != "lock")
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.mark.fault("B14", "G-R17")
def test_a_reader_opens_an_old_run_and_touches_nothing(old: Path) -> None:
    before = files_of(old)
    run = Run.open(old)
    assert run.records()[1:] == RECORDS
    assert [trial.reason for trial in run.table().failed()] == ["crash"]
    (note,) = examine(old)
    assert note.level == "note" and "its next owner brings it to nas.run/" in note.what
    assert files_of(old) == before


@pytest.mark.fault("B3", "B14")
def test_an_old_run_with_an_emptied_log_is_migrated_too(old: Path) -> None:
    (old / "trials.log").write_bytes(b"")
    with Run.open(old, write=True) as run:
        kinds = [record["kind"] for record in run.records()]
        assert kinds == ["run_created", "repaired", "migrated"]
        assert run.config == {"a": 1}
    assert examine(old) == []


@pytest.mark.fault("B14")
def test_the_next_owner_migrates_and_keeps_the_originals(
    old: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = files_of(old)
    with Run.open(old, write=True) as run:
        assert run.records()[1:-1] == RECORDS
        told = {"from": "nas.run/1", "to": f"nas.run/{VERSION}", "originals": "originals/nas.run-1"}
        assert run.records()[-1] == {"kind": "migrated", **told}
        run.append({"kind": "trial_asked", "trial": 0, "attempt": 2})
        run.append({**FAILED, "attempt": 2, "reason": "died"})
    assert files_of(old / "originals" / "nas.run-1") == before
    assert "old' had the format nas.run/1 and has" in caplog.text
    assert json.loads((old / "environment.json").read_text())["schema"] == f"nas.run/{VERSION}"
    assert examine(old) == []
    migrated = files_of(old)
    Run.open(old, write=True).close()
    assert files_of(old) == migrated


@pytest.mark.fault("B14", "G-R9")
def test_a_migration_killed_at_every_write_is_done_again_and_loses_nothing(
    old: Path, tmp_path: Path
) -> None:
    before = files_of(old)
    kills = 0
    for count in range(1, 100):
        path = tmp_path / f"killed-{count}"
        shutil.copytree(old, path)
        ended = in_child(lambda: Run.open(path, write=True).close(), fault=f"*:{count}")  # noqa: B023
        assert Run.open(path).records()[1:4] == RECORDS
        if ended == 0:
            break
        assert ended == KILLED
        kills += 1
        with Run.open(path, write=True) as run:
            kinds = [record["kind"] for record in run.records()]
        assert kinds.count("migrated") == 1
        assert files_of(path / "originals" / "nas.run-1") == before
        assert examine(path) == []
    assert kills >= 5 * 5  # five files, each in five steps


@pytest.mark.fault("A4", "B14", "B18")
def test_a_migration_that_was_killed_is_not_taken_for_the_log_of_another(tmp_path: Path) -> None:
    path = tmp_path / "search-done"
    shutil.copytree(CHECKOUT / "tests/samples/runs/search-done", path)
    repair(path)  # whoever owned it noted how far its log goes
    killed = in_child(lambda: Run.open(path, write=True).close(), fault="migrate_after_log:1")
    assert killed == KILLED
    with Run.open(path, write=True) as run:
        assert "repaired" not in [record["kind"] for record in run.records()]


@pytest.mark.fault("B14", "B1")
def test_a_disk_that_fills_up_leaves_the_old_run_as_it_was(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in range(2, 7):  # the first write is the probe
        path = tmp_path / f"full-{count}"
        shutil.copytree(old, path)
        faults.forget_passes()
        with monkeypatch.context() as patched:
            patched.setenv(faults.VARIABLE, f"atomic_before_write:{count}:full")
            with pytest.raises(EnvironmentFault, match="disk full"):
                Run.open(path, write=True)
        assert "nas.run/1" in (path / "environment.json").read_text()
        assert Run.open(path).records()[1:4] == RECORDS
        with Run.open(path, write=True) as run:
            assert run.records()[-1]["kind"] == "migrated"


def test_a_damaged_old_run_is_repaired_first_and_then_migrated(old: Path) -> None:
    log = old / "trials.log"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(lines[0] + b"?" + b"".join(lines[1:]))
    with pytest.raises(RunError, match=r"(?s)Record 1 of trials.log.*--repair"):
        Run.open(old, write=True)
    assert not (old / "originals").exists()
    repair(old)
    with Run.open(old, write=True) as run:
        assert [record["kind"] for record in run.records()][-2:] == ["repaired", "migrated"]


def test_old_and_new_records_may_stand_in_one_log(old: Path) -> None:
    """A version of nas that knows the old format only may have gone on after a killed migration."""
    assert in_child(lambda: Run.open(old, write=True).close(), fault="migrate_after_log:1")
    log = old / "trials.log"
    lines = log.read_bytes().count(b"\n")
    late = {"kind": "trial_asked", "trial": 0, "attempt": 2}
    log.write_bytes(log.read_bytes() + encode(lines, late))
    with Run.open(old, write=True) as run:
        assert late in run.records()
        assert run.records()[-1]["kind"] == "migrated"


@pytest.mark.fault("B14")
def test_a_step_of_the_format_takes_up_records_and_environment_in_order_and_only_once(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(record: dict[str, Any]) -> dict[str, Any]:
        if "because" in record or record["kind"] != "trial_failed":
            return record
        return {**record, "because": record["reason"]}

    step = Migration(3, "Failures say because.", rename, lambda old: {**old, "tidy": True})
    monkeypatch.setitem(MIGRATIONS._entries, "to_3", step)
    monkeypatch.setitem(MIGRATIONS._papers, "to_3", None)
    monkeypatch.setattr("nas.run_store.layout.VERSION", 3)
    assert take_up_environment((step,), {"a": 1}) == {"a": 1, "tidy": True}
    assert Run.open(old).records()[3]["because"] == "crash"
    with Run.open(old, write=True) as run:
        assert run.records()[3] == {**FAILED, "because": "crash"}
    assert json.loads((old / "environment.json").read_text())["tidy"] is True
    assert [folder.name for folder in (old / "originals").iterdir()] == ["nas.run-1"]


@pytest.mark.fault("B14")
def test_what_was_special_to_the_first_versions_is_taken_up(tmp_path: Path) -> None:
    config = {
        "schema": "nas.search/1",
        "supernet": {"recalibration_images": 64, "relaxation": {"level": "one", "epochs": 2}},
        "confirm": {"seeds": 2, "max_points": 7, "baselines": {"random": 1, "published": True}},
    }
    planned = {"kind": "confirm_planned", "candidates": []}
    with Run.create(tmp_path, "first", config, {}) as run:
        run.append(planned)
    old = make_old(tmp_path / "first")
    taken_up = {
        "schema": "nas.search/1",
        "supernet": {
            "recalibration": {"images": 64},
            "relaxation": {"alternation": "one_level", "epochs": 2},
        },
        "confirm": {
            "seeds_a": 2,
            "seeds_b": 2,
            "shortlist": 3,
            "baselines": {"random": 1},
            "rivals": ["space_wirings", "published", "random_members"],
        },
    }
    assert Run.open(old).config == taken_up
    assert Run.open(old).records()[1]["kind"] == "early_confirm_planned"
    (note,) = examine(old)
    assert note.level == "note"
    with Run.open(old, write=True) as run:
        assert run.config == taken_up
    assert examine(old) == []
    assert Run.open(old).config == taken_up


@given(plain_values, plain_values, plain_values)
def test_whatever_an_old_config_holds_is_taken_up_without_an_error_and_only_once(
    supernet: Any, confirm: Any, level: Any
) -> None:
    for part in (supernet, {"relaxation": supernet}, {"relaxation": {"level": level}}):
        config = {"schema": "nas.search/1", "supernet": part, "confirm": {"baselines": confirm}}
        config["confirm"] |= {"seeds": level, "max_points": level}
        once = with_keys_of_today(config)
        assert with_keys_of_today(once) == once
    assert with_keys_of_today({"schema": "nas.study/1", "seeds": level}).keys() == {
        "schema",
        "seeds",
    }


@pytest.mark.fault("B14", "C10")
def test_an_old_run_with_an_edited_config_is_not_migrated(old: Path) -> None:
    (old / "run.yaml").write_text("a: 2\n")
    with pytest.raises(RunError, match=r"(?s)run.yaml of run 'old' was changed.*Undo"):
        Run.open(old, write=True)
    assert not (old / "originals").exists()


def test_every_step_from_the_first_format_is_there_and_leaves_alone_what_it_has_taken_up() -> None:
    steps = steps_between(1, VERSION)
    assert [step.to for step in steps] == list(range(2, VERSION + 1))
    for record in RECORDS:
        once = take_up_record(steps, record)
        assert take_up_record(steps, once) == once
    assert all(step.why.endswith(".") for step in steps)
    with pytest.raises(NotFoundError, match="Unknown migration 'to_99'"):
        steps_between(98, 99)


@pytest.mark.fault("B14")
def test_a_run_of_a_newer_format_is_listed_as_such_and_not_as_damaged(old: Path) -> None:
    make_old(old, 9)
    (summary,) = list_runs(old.parent)
    assert (summary.name, summary.state) == ("old", "newer")
    assert "nas.run/9" in str(summary.problem) and f"nas.run/{VERSION}" in str(summary.problem)
