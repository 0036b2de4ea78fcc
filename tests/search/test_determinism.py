"""One seed gives one search, to the byte: twice, with any number of workers, in whatever order.

And one that is told to end by SIGTERM ends in time, leaves nothing behind and goes on the same.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_store.forked import KILLED, start_child, wait_for
from scale import is_full_scale, scaled
from search_runs import (
    FAKE,
    SCRIPT,
    asked_and_closed,
    canonical,
    count_records,
    fake_search,
    points,
    start,
)

from nas.cli.main import run as type_in
from nas.config_files import dump_yaml
from nas.run_store import Run
from nas.search.driver import resume

TIMES = {"seconds", "wall_seconds", "measuring_seconds", "created", "views"}
"""Fields of records that tell when something was, how long it took, or what else a process shows:
one that has typed `nas search` writes report.html, too."""

SMALL = ("search.trials=8", "search.batch=4")
UNHURRIED = ("objectives=[unhurried_error, macs]", "search.trials=16", "search.batch=8")
GRACE_S = 10.0


def timeless(value: Any) -> Any:
    """Return a document without what tells when it was and how long it took."""
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if key not in TIMES}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def written(run: Run) -> dict[str, Any]:
    """Return everything that a run has on disk, less moments and durations."""
    front = json.loads((run.path / "front.json").read_bytes())
    del front["ledger"]  # what the search cost
    kept = sorted((run.path / "architectures").iterdir())
    return {
        "records": [timeless(record) for record in run.records()],
        "front": json.dumps(front).encode(),
        "table": (run.path / "front.csv").read_bytes(),
        "config": (run.path / "run.yaml").read_bytes(),
        "architectures": {path.name: path.read_bytes() for path in kept},
    }


@pytest.mark.fault("G-D1", "E16")
def test_the_same_seed_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for seed in range(scaled(20)):
        chosen = (*SMALL, f"seed={seed}")
        once = written(fake_search(tmp_path / f"{seed}-once", *chosen))
        again = written(fake_search(tmp_path / f"{seed}-again", *chosen))
        assert once == again
        assert len(once["records"]) > 20


@pytest.mark.fault("G-D1")
def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    here = fake_search(tmp_path / "here", *SMALL)
    with start(SCRIPT, tmp_path / "there", "search", "run", *SMALL) as other:
        _, said = other.communicate()
    assert other.returncode == 0, said
    assert written(Run.open(tmp_path / "there" / "run")) == written(here)


@pytest.mark.fault("G-D3", "E16", "E17")
def test_one_seed_gives_one_front_whatever_the_workers_and_however_long_they_take(
    tmp_path: Path,
) -> None:
    """Networks take a random time, so those of one batch end in another order every time.

    In a short suite the driver itself is the one worker: each process costs seconds of imports.
    """
    whole = fake_search(tmp_path, *UNHURRIED, name="inline")
    for number in range(50 if is_full_scale() else 1):
        for workers in (1, 2, 4) if is_full_scale() else (2, 4):
            name = f"r{number}w{workers}"
            run = fake_search(tmp_path, *UNHURRIED, name=name, executor="local", workers=workers)
            assert canonical(points(run)) == canonical(points(whole))
            decisions = [trial.decisions for trial in run.table().trials.values()]
            assert decisions == [trial.decisions for trial in whole.table().trials.values()]


@pytest.mark.fault("A1", "B12", "G-D1")
def test_what_a_power_loss_leaves_of_architectures_changes_nothing_of_a_resumed_search(
    tmp_path: Path,
) -> None:
    fake_search(tmp_path, "search.trials=3", "search.batch=3", name="whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "harmed")
    for place, file in enumerate(sorted((tmp_path / "harmed" / "architectures").iterdir())):
        if place % 3 == 0:
            file.unlink()
        else:
            os.truncate(file, 99 * (place % 3 - 1))
    whole, harmed = (resume(tmp_path / name, extra_trials=1) for name in ("whole", "harmed"))
    assert written(whole) == written(harmed)


def typed_in_a_child(folder: Path, name: str, *options: str) -> int:
    """Start `nas search` over made-up objectives in a forked child; return its process id."""
    config = folder / f"{name}.yaml"
    made_up = {**FAKE, "objectives": ["unhurried_error", "macs"]}
    config.write_text(dump_yaml({"schema": "nas.search/1", **made_up}))
    words = ["search", str(config), f"--name={name}", f"--runs={folder}", *options]

    def command() -> None:
        os.setsid()
        os._exit(type_in(words))

    return start_child(command)


def members_of(session: int) -> set[int]:
    """Return the processes of a session that still run."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.add(int(folder.name))
    return found


def ended_by_sigterm(folder: Path, name: str, records: int, *options: str) -> None:
    """Search in a child, tell it to end once it has so many records, and check how it ends."""
    child = typed_in_a_child(folder, name, *options)
    deadline = time.monotonic() + 120
    while count_records(folder / name) < records and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(child, signal.SIGTERM)
    told = time.monotonic()
    code = wait_for(child)
    assert time.monotonic() - told <= GRACE_S
    assert code == 130
    assert not members_of(child)
    assert Run.open(folder / name).state() == "interrupted"


@pytest.mark.fault("G-R12", "A5")
def test_sigterm_ends_a_search_in_time_with_130_and_it_goes_on_the_same(tmp_path: Path) -> None:
    size = ("--trials=8", "--set=search.batch=4")
    overrides = ("objectives=[unhurried_error, macs]", *SMALL)
    whole = fake_search(tmp_path, *overrides, name="whole")
    rng = np.random.default_rng(3)
    for number in range(100 if is_full_scale() else 3):
        moment = int(rng.integers(1, len(whole.records()) - 6))
        ended_by_sigterm(tmp_path, f"s{number}", moment, "--executor=inline", *size)
        run = resume(tmp_path / f"s{number}")
        assert canonical(points(run)) == canonical(points(whole))
        asked, closed = asked_and_closed(run)
        assert asked == closed == list(range(8))


@pytest.mark.fault("G-R12", "A5")
def test_sigterm_takes_the_workers_along(tmp_path: Path) -> None:
    ended_by_sigterm(tmp_path, "workers", 12, "--executor=local", "--workers=2", "--trials=400")


@pytest.mark.fault("A5")
def test_a_second_sigterm_ends_at_once_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    child = typed_in_a_child(tmp_path, "twice", "--executor=inline")
    while count_records(tmp_path / "twice") < 20:
        time.sleep(0.002)
    os.kill(child, signal.SIGTERM)
    os.kill(child, signal.SIGTERM)
    assert wait_for(child) in (-signal.SIGTERM, KILLED, 130)
    run = resume(tmp_path / "twice")
    assert run.state() == "finished"
    asked, closed = asked_and_closed(run)
    assert asked == closed == list(range(24))
