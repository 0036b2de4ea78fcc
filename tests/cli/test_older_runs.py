"""Runs that earlier versions of nas made open, show their front, pass the doctor and go on.

`tests/samples/runs` keeps two runs of every released version for ever: one that reached its end,
and one whose process was killed while it explored. See the README beside them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli.conftest import Nas
from scale import CHECKOUT, is_full_scale

from nas.run_store import Run, layout

SAMPLES = CHECKOUT / "tests" / "samples" / "runs"
FINISHED = sorted(folder.name for folder in SAMPLES.glob("*-done"))
KILLED = sorted(folder.name for folder in SAMPLES.glob("*-open"))
CHANGED = {"search-open", "trust-open", "latency-open"}
"""Runs whose space is another one today: what a node computes was not yet data in their time."""
RESUMED = [name for name in KILLED if name not in CHANGED]
RESUMED = RESUMED if is_full_scale() else ["cluster-open", "dashboard-open"]
"""In CI the last one of every format."""
REBUILT = FINISHED if is_full_scale() else ["search-done"]


def taken(name: str) -> Path:
    run = Path("runs") / name
    shutil.copytree(SAMPLES / name, run)
    return run


def files_of(run: Path) -> dict[str, bytes]:
    files = (path for path in run.rglob("*") if path.is_file())
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


@pytest.mark.fault("B14", "G-R17")
@pytest.mark.parametrize("name", FINISHED)
def test_a_finished_run_of_an_earlier_version_is_read_untouched_and_then_made_current(
    name: str, nas: Nas
) -> None:
    run = taken(name)
    before = files_of(run)
    shown = nas("front", name, "--json").document
    kept = json.loads(before["front.json"])
    # The first version judged by latencies that its confirmation measured once more.
    assert {point["trial"] for point in kept["points"]} <= {
        point["trial"] for point in shown["points"]
    }
    assert nas("runs", "show", name, "--json").document["state"] == "finished"
    assert nas("doctor", name).code == 0
    assert files_of(run) == before
    if name not in REBUILT:
        return
    assert nas("runs", "rebuild", name).code == 0
    answer = nas("doctor", name)
    assert (answer.code, answer.err) == (0, f"run '{name}': nothing wrong\n")
    old = json.loads(before["environment.json"])["schema"].replace("/", "-")
    if old != layout.schema(layout.VERSION).replace("/", "-"):
        kept_log = (run / "originals" / old / "trials.log").read_bytes()
        assert kept_log == before["trials.log"]


@pytest.mark.fault("B14", "G-R17", "A1")
@pytest.mark.parametrize("name", RESUMED)
def test_a_killed_run_of_an_earlier_version_goes_on_to_its_end(name: str, nas: Nas) -> None:
    run = taken(name)
    with Run.open(run) as opened:
        before = {trial.number: dict(trial.values) for trial in opened.table().finished()}
        assert opened.state() == "interrupted"
    assert 1 <= len(before) < 5
    answer = nas("resume", name, "--executor", "inline")
    assert answer.code == 0, answer.err
    with Run.open(run) as opened:
        after = {trial.number: dict(trial.values) for trial in opened.table().finished()}
    assert len(after) == 5
    assert {number: after[number] for number in before} == before
    assert "nothing wrong" in nas("doctor", name).err


@pytest.mark.fault("B14", "G-R17")
def test_samples_show_what_is_special_to_the_formats_they_have() -> None:
    files = SAMPLES.glob("*/environment.json")
    formats = {json.loads(file.read_text())["schema"] for file in files}
    assert formats >= {layout.schema(version) for version in range(1, layout.VERSION)}
    run = Run.open(SAMPLES / "cluster-open")
    first, *_ = run.records()
    assert first["config"] == run.config and first["environment"] == run.environment
    assert run.table().trials[1].attempts[0].reason == "died"
    assert not (run.path / "architectures").exists()  # killed before its first views


@pytest.mark.fault("B14", "C10")
@pytest.mark.parametrize("name", sorted(CHANGED))
def test_a_run_whose_space_is_another_one_today_is_refused_and_left_as_it_is(
    name: str, nas: Nas
) -> None:
    run = taken(name)
    before = files_of(run)
    answer = nas("resume", name)
    assert answer.code == 2
    assert "The space 'little' has changed" in answer.err and "fix: " in answer.err
    assert files_of(run) == before
    assert nas("runs", "show", name, "--json").document["trials"]["finished"] == 2


def test_samples_are_small_and_say_nothing_of_the_machine_they_were_made_on() -> None:
    assert FINISHED and len(FINISHED) == len(KILLED)
    for name in (*FINISHED, *KILLED):
        files = files_of(SAMPLES / name)
        assert sum(map(len, files.values())) < 100_000
        assert not any(b"/home/" in data or b"/tmp/" in data for data in files.values())
        assert "lock" not in files
