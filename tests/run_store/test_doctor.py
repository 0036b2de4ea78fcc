"""The doctor finds every kind of damage, names the command, and never throws anything away."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from run_store.forked import KILLED, in_child

from nas.errors import ConfigError, NotFoundError, RunError
from nas.run_store import (
    Run,
    examine,
    rebuild_views,
    register_view,
    registered_views,
    repair,
)
from nas.run_store.doctor import referenced_weights
from nas.run_store.log import read_log
from nas.run_store.records import encode


@pytest.fixture(name="run_path")
def _run_path(tmp_path: Path) -> Path:
    with Run.create(tmp_path, "mine", {"a": 1}, {}) as run:
        for trial in range(3):
            run.append({"kind": "trial_asked", "trial": trial, "attempt": 1})
            values = {"error": {"value": 0.1 * trial}}
            closed = {"kind": "trial_finished", "trial": trial, "attempt": 1, "values": values}
            run.append(closed)
        sha = run.weights.put({"a": np.arange(3.0)})
        run.append({"kind": "stage_finished", "stage": "supernet", "checkpoint": sha})
    return tmp_path / "mine"


def line_starts(path: Path) -> list[int]:
    data = (path / "trials.log").read_bytes()
    return [0, *(index + 1 for index, byte in enumerate(data[:-1]) if byte == ord("\n"))]


def flip(file: Path, offset: int) -> None:
    data = bytearray(file.read_bytes())
    data[offset] ^= 1
    file.write_bytes(data)


def only_finding(path: Path) -> tuple[str, str, str | None]:
    (finding,) = examine(path)
    return finding.level, finding.what, finding.fix


def test_a_healthy_run_has_no_findings_and_nothing_to_repair(run_path: Path) -> None:
    before = (run_path / "trials.log").read_bytes()
    assert examine(run_path) == []
    assert repair(run_path) == []
    assert (run_path / "trials.log").read_bytes() == before
    assert not (run_path / "quarantine").exists()


def test_what_is_not_a_run_is_refused(tmp_path: Path) -> None:
    for visit in (examine, repair):
        with pytest.raises(NotFoundError, match="There is no run 'x'"):
            visit(tmp_path / "x")
        with pytest.raises(RunError, match="is not a run folder"):
            visit(tmp_path)


@pytest.mark.fault("B4")
def test_a_damaged_record_is_named_and_only_it_and_what_hangs_on_it_is_lost(
    run_path: Path,
) -> None:
    start = line_starts(run_path)[3]
    original = (run_path / "trials.log").read_bytes()
    flip(run_path / "trials.log", start + 40)
    damaged = (run_path / "trials.log").read_bytes()
    level, what, fix = only_finding(run_path)
    assert (level, fix) == ("error", f"nas doctor {run_path} --repair")
    assert what.startswith(f"Record 3 at byte {start} is damaged")
    done = repair(run_path)
    assert done[0].startswith("Kept 6 whole records; the old log is quarantine/trials-log-")
    assert len(done) == 3
    assert f"unreadable bytes at byte {start}" in done[1]
    assert "trial_finished of trial 1, which no longer fits" in done[2]
    (kept,) = (run_path / "quarantine").iterdir()
    assert kept.read_bytes() == damaged != original
    assert examine(run_path) == []
    assert repair(run_path) == []
    with Run.open(run_path, write=True) as run:
        assert [trial.number for trial in run.table().finished()] == [0, 2]
        assert run.table().missing_numbers(3) == [1]
        last = run.records()[-1]
        assert last["kind"] == "repaired"
        assert len(last["lost"]) == 2
        run.append({"kind": "trial_asked", "trial": 1, "attempt": 1})


@pytest.mark.fault("B4", "G-R7")
def test_any_damaged_byte_of_the_log_is_found_and_repaired_to_true_records(run_path: Path) -> None:
    log = run_path / "trials.log"
    whole = log.read_bytes()
    true = list(read_log(log).records)
    for offset in range(0, len(whole), 17):
        log.write_bytes(whole)
        flip(log, offset)
        assert [finding.level for finding in examine(run_path)] in (["error"], ["warning"])
        repair(run_path)
        assert examine(run_path) == []
        with Run.open(run_path, write=True) as run:
            kept = run.records()
        assert kept.pop()["kind"] == "repaired"
        assert [record for record in kept if record not in true] == []
        assert len(kept) >= len(true) - 2


@pytest.mark.fault("B3")
def test_a_torn_end_is_a_warning_unless_somebody_is_writing(run_path: Path) -> None:
    with (run_path / "trials.log").open("ab") as file:
        file.write(b"0123")
    level, what, fix = only_finding(run_path)
    assert (level, fix) == ("warning", f"nas doctor {run_path} --repair")
    assert "torn (4 bytes); nothing acknowledged is lost" in what
    assert any("Kept 8 whole records" in line for line in repair(run_path))
    with Run.open(run_path, write=True):
        (note,) = examine(run_path)
        assert note.level == "note"
        assert f"in use by pid {os.getpid()}" in note.what
        with pytest.raises(RunError, match="is in use by"):
            repair(run_path)


def test_records_that_contradict_each_other_are_found_and_set_aside(run_path: Path) -> None:
    with (run_path / "trials.log").open("ab") as file:
        file.write(encode(8, {"kind": "trial_asked", "trial": 0, "attempt": 1}))
    with pytest.raises(RunError, match="cannot be asked as attempt 1"):
        Run.open(run_path, write=True)
    level, what, fix = only_finding(run_path)
    assert (level, fix) == ("error", f"nas doctor {run_path} --repair")
    assert "Trial 0 cannot be asked" in what
    assert any("trial_asked of trial 0, which no longer fits" in line for line in repair(run_path))
    assert examine(run_path) == []


@pytest.mark.fault("B7", "B8")
def test_damaged_weights_are_moved_aside_and_missing_ones_named(run_path: Path) -> None:
    (file,) = (run_path / "weights").iterdir()
    flip(file, 20)
    level, what, fix = only_finding(run_path)
    assert (level, fix) == ("error", f"nas doctor {run_path} --repair")
    assert "their SHA-256 is not their name" in what
    (line,) = repair(run_path)
    assert line.startswith(f"Lost: the weights {file.name[:12]}, damaged")
    assert (run_path / "quarantine" / file.name).exists()
    assert only_finding(run_path) == (
        "warning",
        f"The weights {file.name[:12]} are missing; the log names them.",
        f"nas resume {run_path}",
    )


@pytest.mark.fault("B7", "B16")
def test_a_missing_network_is_trained_anew_and_then_no_more_than_a_note(run_path: Path) -> None:
    with Run.open(run_path, write=True) as run:
        old = run.weights.put({"a": np.zeros(1)})
        run.append({"kind": "confirm_finished", "trial": 2, "weights": old})
        other = run.weights.put({"a": np.ones(1)})
        run.append({"kind": "anything", "weights": other})
        for sha in (old, other):
            run.weights.path(sha).unlink()
    by_fix = {finding.fix: finding for finding in examine(run_path)}
    trained = by_fix[f"nas arch train {run_path}:2"]
    assert (trained.level, trained.lost) == ("warning", "a trained network; its figures are kept")
    assert by_fix[None].level == "warning"
    with Run.open(run_path, write=True) as run:
        run.weights.put({"a": np.ones(1)})
        new = run.weights.put({"a": np.full(1, 2.0)})
        run.append({"kind": "network_trained", "trial": 2, "weights": new})
    (note,) = examine(run_path)
    assert note.level == "note" and note.what.endswith("Trial 2 has others.")


@pytest.mark.fault("B15")
def test_stray_files_links_and_an_edited_config_are_found(run_path: Path) -> None:
    (run_path / ".tmp-1-0-x").touch()
    assert only_finding(run_path)[1].startswith("A temporary file was left")
    assert repair(run_path) == ["Removed the stray file .tmp-1-0-x."]
    (run_path / "passwd").symlink_to("/etc/passwd")
    assert only_finding(run_path)[0] == "error"
    assert "'passwd' is a link or a pipe" in only_finding(run_path)[1]
    (run_path / "passwd").unlink()
    (run_path / "run.yaml").write_text("a: 2\n")
    what = "run.yaml is {}; the log holds what it said."
    fix = f"nas doctor {run_path} --repair"
    assert only_finding(run_path)[1:] == (what.format("not what the run was created with"), fix)
    (run_path / "run.yaml").write_text("a: [\n")
    assert only_finding(run_path)[1:] == (what.format("damaged"), fix)
    (done,) = repair(run_path)
    assert done.startswith("Wrote run.yaml again from the log; what stood there is quarantine/run-")
    assert examine(run_path) == []
    (kept,) = (run_path / "quarantine").iterdir()
    assert kept.read_text() == "a: [\n"


def test_views_are_made_from_the_log_alone_and_stale_ones_found(run_path: Path) -> None:
    def front(run: Run) -> bytes:
        return f"{len(run.table().finished())} points".encode()

    register_view("front.json", front)
    register_view("front.json", front)
    assert list(registered_views()) == ["front.json"]
    fix = f"nas runs rebuild {run_path}"
    assert only_finding(run_path) == ("warning", "front.json is missing.", fix)
    with pytest.raises(RunError, match="was opened for reading"):
        rebuild_views(Run.open(run_path))
    with Run.open(run_path, write=True) as run:
        (note,) = examine(run_path)
        assert note.level == "note"  # in use: its owner is about to make the view
        assert rebuild_views(run) == ["front.json"]
    assert examine(run_path) == []
    (run_path / "front.json").write_text("4 points")
    assert only_finding(run_path) == ("warning", "front.json is out of date.", fix)


def test_a_view_that_cannot_be_made_is_a_finding(run_path: Path) -> None:
    def broken(run: Run) -> bytes:
        raise RunError("No front today.")

    register_view("front.json", broken)
    assert only_finding(run_path)[1] == "front.json cannot be made: No front today."


def test_two_functions_for_one_view_or_a_reserved_name_are_refused() -> None:
    register_view("front.csv", lambda _: b"")
    with pytest.raises(ConfigError, match=r"(?s)view 'front.csv' is registered.*taken are: front"):
        register_view("front.csv", lambda _: b"")
    with pytest.raises(RunError, match=r"'trials.log' cannot be the name of a view"):
        register_view("trials.log", lambda _: b"")


def test_the_log_needs_its_weights_but_only_the_last_checkpoint_on_the_way() -> None:
    a, b, c, d = ("0" * 64, "1" * 64, "2" * 64, "3" * 64)
    records = [
        {"kind": "checkpoint_saved", "stage": "supernet", "checkpoint": a},
        {"kind": "checkpoint_saved", "stage": "supernet", "checkpoint": b},
        {"kind": "stage_finished", "stage": "supernet", "checkpoint": c},
        {"kind": "confirm_finished", "runs": [{"weights": d}, {"weights": None}]},
    ]
    assert referenced_weights(records[:2]) == {b}
    assert referenced_weights(records) == {c, d}


@pytest.mark.fault("B3")
@pytest.mark.parametrize("left", [b"", b"deadbeef 5"])
def test_an_emptied_log_is_named_as_a_loss_and_the_run_begins_anew(
    run_path: Path, left: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (run_path / "trials.log").write_bytes(left)
    (finding,) = [each for each in examine(run_path) if each.level == "error"]
    assert "The log is empty" in finding.what
    assert finding.lost == "every record that was in it, and with them all results"
    assert finding.fix == f"nas doctor {run_path} --repair"
    with Run.open(run_path, write=True) as run:
        assert [record["kind"] for record in run.records()] == ["run_created", "repaired"]
        assert run.config == {"a": 1}
    assert "Lost: every record" in caplog.text
    kept = [file.read_bytes() for file in run_path.glob("quarantine/*")]
    assert kept == ([left] if left else [])
    assert not [each for each in examine(run_path) if each.level == "error"]


@pytest.mark.fault("B3")
def test_an_emptied_log_is_repaired_unless_the_config_is_gone_too(run_path: Path) -> None:
    config = (run_path / "run.yaml").read_bytes()
    (run_path / "trials.log").write_bytes(b"")
    (run_path / "run.yaml").unlink()
    with pytest.raises(RunError, match=r"run\.yaml"):
        repair(run_path)
    (run_path / "run.yaml").write_bytes(config)
    began, lost = repair(run_path)
    assert began == "Began the log anew with what run.yaml says."
    assert lost.startswith("Lost: every record")
    assert repair(run_path) == []


@pytest.mark.fault("B18")
@pytest.mark.parametrize("torn", [b"", b"deadbeef 5"])
def test_a_log_cut_between_two_records_is_told_with_what_is_lost_and_goes_on(
    run_path: Path, torn: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    log = run_path / "trials.log"
    log.write_bytes(log.read_bytes()[: line_starts(run_path)[5]] + torn)
    (finding,) = [each for each in examine(run_path) if each.level == "error"]
    assert "has 5 whole records, its owner had written 8. If there is a longer" in finding.what
    lost = "the last 3 of 8 records"
    assert (finding.lost, finding.fix) == (lost, f"nas doctor {run_path} --repair")
    with Run.open(run_path, write=True) as run:
        assert run.records()[5:] == [{"kind": "repaired", "lost": [lost]}]
        assert [trial.number for trial in run.table().finished()] == [0, 1]
        run.append({"kind": "trial_asked", "trial": 2, "attempt": 1})
    assert f"Lost: {lost}; trials among them are run again." in caplog.text
    assert "Nothing acknowledged is lost" not in caplog.text
    assert not [each for each in examine(run_path) if each.level == "error"]


@pytest.mark.fault("B18")
def test_a_log_that_lacks_its_last_record_is_repaired_by_naming_it(run_path: Path) -> None:
    log = run_path / "trials.log"
    log.write_bytes(log.read_bytes()[: line_starts(run_path)[7]])
    kept, lost = repair(run_path)
    assert kept.startswith("Kept 7 whole records")
    assert lost == "Lost: the last of 8 records."
    assert examine(run_path) == repair(run_path) == []


@pytest.mark.fault("B4", "B18")
@pytest.mark.parametrize("left", [5, 8])
def test_of_a_damaged_log_it_is_told_what_was_cut_off_too(run_path: Path, left: int) -> None:
    log, starts = run_path / "trials.log", [*line_starts(run_path), None]
    log.write_bytes(log.read_bytes()[: starts[left]])
    flip(log, line_starts(run_path)[2] + 40)
    (finding,) = [each for each in examine(run_path) if each.level == "error"]
    told = [f"Lost: {loss}." for loss in finding.lost.split("; ")]
    assert repair(run_path)[1:] == told
    assert ("Lost: the last 3 of 8 records." in told) == (left == 5)
    assert not [each for each in examine(run_path) if each.level == "error"]


@pytest.mark.fault("B4", "B18")
@pytest.mark.parametrize("cut", [(40, 41), (-1, 0)])
def test_a_record_that_damage_moved_is_not_lost(run_path: Path, cut: tuple[int, int]) -> None:
    log, start = run_path / "trials.log", line_starts(run_path)[3]
    data = log.read_bytes()
    log.write_bytes(data[: start + cut[0]] + data[start + cut[1] :])
    (finding,) = [each for each in examine(run_path) if each.level == "error"]
    assert "of 8 records" not in finding.lost and "another log" not in finding.lost
    kept, *lost = repair(run_path)
    assert kept.startswith("Kept ") and not any("records" in each for each in lost)


@pytest.mark.fault("B4", "B18")
def test_a_damaged_last_record_is_lost_once(run_path: Path) -> None:
    flip(run_path / "trials.log", line_starts(run_path)[7] + 40)
    kept, lost = repair(run_path)
    assert kept.startswith("Kept 7 whole records") and "unreadable bytes" in lost


@pytest.mark.fault("A4", "B18")
def test_what_a_log_lost_is_told_until_the_log_itself_says_so(run_path: Path) -> None:
    log = run_path / "trials.log"
    log.write_bytes(log.read_bytes()[: line_starts(run_path)[5]])
    assert in_child(lambda: repair(run_path), fault="repair_before_log:1") == KILLED
    (finding,) = [each for each in examine(run_path) if each.level == "error"]
    assert finding.lost == "the last 3 of 8 records"
    assert repair(run_path)[-1] == f"Lost: {finding.lost}."
    assert repair(run_path) == []


@pytest.mark.fault("B18")
def test_a_log_that_went_on_elsewhere_is_told_apart(run_path: Path) -> None:
    log = run_path / "trials.log"
    others = [encode(seq, {"kind": "verdict", "from": "elsewhere"}) for seq in range(5, 10)]
    log.write_bytes(log.read_bytes()[: line_starts(run_path)[5]] + b"".join(others))
    finding = next(each for each in examine(run_path) if each.level == "error")
    assert finding.lost == "what was recorded from record 7 on: another log is in its place"
    with Run.open(run_path, write=True) as run:
        assert run.records()[-1]["lost"] == [finding.lost]


@pytest.mark.fault("B18")
@pytest.mark.parametrize("text", [b"", b"{}\n", b"{}\n[1]\n", b"{}\nnull\n", b"\xff\n\xff"])
def test_a_lock_that_notes_nothing_says_nothing_about_the_log(run_path: Path, text: bytes) -> None:
    log = run_path / "trials.log"
    log.write_bytes(log.read_bytes()[: line_starts(run_path)[5]])
    (run_path / "lock").write_bytes(text)
    assert not [each for each in examine(run_path) if each.level == "error"]
    with Run.open(run_path, write=True) as run:
        assert len(run.records()) == 5
