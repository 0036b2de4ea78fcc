"""A small search killed everywhere, and every time resumed to the same end.

The search is a toy; what is tested is the store: nothing acknowledged is lost, nothing happens
twice, and the resumed run equals the uninterrupted one.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_store.forked import KILLED, in_child, start_child, wait_for
from scale import scaled

from nas.errors import EnvironmentFault
from nas.run_store import Run, examine, rebuild_views, register_view

TRIALS, BATCH = 6, 2


def error_of(trial: int) -> float:
    return ((trial * 37) % 11) / 11


def search(root: Path, acknowledged: Path | None = None) -> None:
    """Create or resume the run, evaluate every trial, and write a view after each batch."""
    path = root / "toy"
    run = Run.open(path, write=True) if path.exists() else Run.create(root, "toy", {"n": 1}, {})
    with run:
        if "explore" not in run.table().stages:
            run.append({"kind": "stage_started", "stage": "explore"})
        for trial in range(TRIALS):
            evaluate(run, trial, acknowledged)
            if trial % BATCH == 1:
                rebuild_views(run)
        if run.state() != "finished":
            weights = run.weights.put({"last": np.arange(4.0)})
            run.append({"kind": "stage_finished", "stage": "explore", "checkpoint": weights})
            run.append({"kind": "run_finished"})
        rebuild_views(run)


def evaluate(run: Run, trial: int, acknowledged: Path | None) -> None:
    known = run.table().trials.get(trial)
    if known is not None and known.state == "finished":
        return
    attempt = known.attempt + 1 if known else 1
    asked = {"kind": "trial_asked", "trial": trial, "attempt": attempt, "batch": trial // BATCH}
    named = {"architecture": {"trial": trial}, "architecture_id": f"s1-{trial}"}
    run.append({**asked, "decisions": {"seed": trial}, **named})
    values = {"error": {"value": error_of(trial)}}
    result = {"kind": "trial_finished", "trial": trial, "attempt": attempt, "values": values}
    run.append(result)
    if acknowledged is not None:
        with acknowledged.open("a") as file:
            file.write(f"{trial}\n")


def _view(run: Run) -> bytes:
    pairs = [(trial.number, trial.value("error")) for trial in run.table().finished()]
    return repr(pairs).encode()


@pytest.fixture(autouse=True)
def _with_view(_no_views: None) -> None:
    register_view("front.json", _view)


def outcome(root: Path) -> dict[str, Any]:
    run = Run.open(root / "toy")
    table = run.table()
    return {
        "trials": [(t.number, t.state, t.decisions, dict(t.values)) for t in table.trials.values()],
        "stages": [(s.name, s.state, s.checkpoint) for s in table.stages.values()],
        "state": run.state(),
        "view": run.read_view("front.json"),
        "architectures": sorted(
            (file.name, file.read_text()) for file in (run.path / "architectures").iterdir()
        ),
        "weights": run.weights.names(),
    }


def check_no_result_twice(root: Path) -> None:
    records = Run.open(root / "toy").records()
    results = [record["trial"] for record in records if record["kind"] == "trial_finished"]
    assert len(results) == len(set(results))


def check_promises_kept(root: Path, acknowledged: Path) -> None:
    if acknowledged.exists():
        promised = {int(line) for line in acknowledged.read_text().splitlines()}
        assert promised <= {trial.number for trial in Run.open(root / "toy").table().finished()}


@pytest.fixture(name="expected")
def _expected(tmp_path: Path) -> dict[str, Any]:
    search(tmp_path / "reference")
    return outcome(tmp_path / "reference")


@pytest.mark.fault("A1", "A2", "A3", "G-R1", "G-R9")
def test_a_search_killed_at_every_single_write_ends_as_if_nothing_had_happened(
    tmp_path: Path, expected: dict[str, Any]
) -> None:
    step = 1 if scaled(10) == 10 else 3
    kills = 0
    for count in range(1, 2000, step):
        root = tmp_path / f"killed-{count}"
        acknowledged = tmp_path / f"acknowledged-{count}"
        ended = in_child(lambda: search(root, acknowledged), fault=f"*:{count}")  # noqa: B023
        if ended == 0:
            break
        assert ended == KILLED
        kills += 1
        check_promises_kept(root, acknowledged)
        search(root)
        assert outcome(root) == expected
        check_no_result_twice(root)
        assert examine(root / "toy") == []
    assert kills * step > 100


@pytest.mark.fault("A4")
def test_a_search_killed_again_and_again_while_resuming_still_ends_the_same(
    tmp_path: Path, expected: dict[str, Any]
) -> None:
    for count in (7, 11, 23):
        root = tmp_path / f"again-{count}"
        for _ in range(200):
            if in_child(lambda: search(root), fault=f"*:{count}") == 0:  # noqa: B023
                break
            count += 1
        assert outcome(root) == expected
        check_no_result_twice(root)


@pytest.mark.fault("A3", "G-R9")
@pytest.mark.parametrize(
    "site", ["before_append", "mid_append", "after_append", "after_fsync", "create_before_rename"]
)
def test_every_crash_site_of_the_log_is_reached_and_survived(
    tmp_path: Path, expected: dict[str, Any], site: str
) -> None:
    assert in_child(lambda: search(tmp_path), fault=f"{site}:1") == KILLED
    if site == "create_before_rename":
        assert not (tmp_path / "toy").exists()
    if site == "mid_append":
        assert (tmp_path / "toy" / "trials.log").read_bytes()[-1:] != b"\n"
    search(tmp_path)
    assert outcome(tmp_path) == expected
    assert len(list(tmp_path.glob("toy/quarantine/*"))) == (site == "mid_append")


@pytest.mark.fault("A2")
def test_a_killed_creation_is_swept_away_a_minute_later_and_nothing_else(tmp_path: Path) -> None:
    assert in_child(lambda: search(tmp_path), fault="create_before_rename:1") == KILLED
    (leftover,) = tmp_path.glob(".tmp-run-*")
    mine = tmp_path / ".tmp-mine"
    mine.mkdir()
    search(tmp_path)
    assert leftover.exists()
    for folder in (leftover, mine):
        os.utime(folder, (time.time() - 100, time.time() - 100))
    Run.create(tmp_path, "other", {}, {}).close()
    assert not leftover.exists()
    assert mine.exists()


@pytest.mark.fault("A1", "G-R1")
def test_a_search_killed_at_random_moments_loses_nothing_it_acknowledged(
    tmp_path: Path, expected: dict[str, Any]
) -> None:
    rng = random.Random(5)
    started = time.monotonic()
    assert in_child(lambda: search(tmp_path / "timed")) == 0
    duration = time.monotonic() - started
    for number in range(scaled(100)):
        root, acknowledged = tmp_path / f"random-{number}", tmp_path / f"promised-{number}"
        pid = start_child(lambda: search(root, acknowledged))  # noqa: B023
        time.sleep(rng.uniform(0.02, 0.98) * duration)
        os.kill(pid, signal.SIGKILL)
        assert wait_for(pid) in (0, KILLED)
        check_promises_kept(root, acknowledged)
        search(root)
        assert outcome(root) == expected
        check_no_result_twice(root)


@pytest.mark.fault("B1", "G-R6")
def test_a_disk_that_fills_up_stops_the_search_and_freed_space_resumes_it(
    tmp_path: Path, expected: dict[str, Any]
) -> None:
    size = (tmp_path / "reference" / "toy" / "trials.log").stat().st_size
    rng = random.Random(3)

    def search_until_full(root: Path) -> None:
        path = root / "toy"
        try:
            search(root)
        except EnvironmentFault as error:
            assert "disk full" in str(error)
            assert not path.exists() or Run.open(path).records()

    unfinished = 0
    for number in range(scaled(40)):
        root = tmp_path / f"full-{number}"
        with Run.create(root, "toy", {"n": 1}, {}):
            pass
        limit = rng.randrange(1, size)
        with pytest.MonkeyPatch.context() as patched:
            # The probe would stop it at the door; the log is to fill up on the way.
            patched.setattr("nas.run_store.run.probe_writable", lambda _: None)
            assert in_child(lambda: search_until_full(root), largest_file=limit) == 0  # noqa: B023
        unfinished += Run.open(root / "toy").state() != "finished"
        search(root)
        search(root)
        assert outcome(root) == expected
        check_no_result_twice(root)
    assert unfinished == scaled(40)
