"""The runner end to end on digits: killed, interrupted, changed, finished, searched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scale import scaled
from study_cases import study

from nas.errors import ConfigError, EnvironmentFault, InterruptedRunError, RunError
from nas.run_store import Run
from nas.run_store.faults import VARIABLE
from nas.run_store.records import scan
from nas.search.progress import StageProgress
from nas.search.training.kept_trainings import trainings_left
from nas.study.outputs import document
from nas.study.results import CELL, LATENCY, read_results
from nas.study.runner import run_study
from nas.training.fit import Training

TINY: dict[str, Any] = {
    "max_train_images": 200,
    "test_images": 100,
    "seeds": 2,
    "latency": {
        "max_seconds": 0.01,
        "minimum_pairs": 4,
        "pairs": 8,
        "warm_up": 0,
        "retries": 0,
        "wait_s": 0.0,
    },
}
METHODS = [{"kind": "wiring", "name": "chain"}, {"kind": "random"}]


def finished(root: Path, **keys: Any) -> Run:
    config = study(methods=METHODS, **{**TINY, **keys})
    return run_study(config, studies=root, executor="inline")


def figures(run: Run) -> list[tuple[str, tuple[float | None, ...]]]:
    return [(row.label, row.cross_entropies) for row in read_results(run).rows]


def trained(run: Run) -> list[tuple[Any, ...]]:
    keys = ("row", "network", "seed_index")
    return [tuple(r[key] for key in keys) for r in run.records() if r["kind"] == CELL]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A study that nothing disturbed."""
    return finished(tmp_path_factory.mktemp("whole"))


def test_a_study_trains_every_cell_once_and_writes_its_files(whole: Run) -> None:
    assert whole.state() == "finished"
    assert len(trained(whole)) == len(set(trained(whole))) == 4
    results = read_results(whole)
    assert results.complete
    assert document(results)["complete"]
    for name in ("table.csv", "table.tex", "table.md", "study.json", "cd.svg"):
        assert whole.read_view(name)
    assert all(row.latency_ms for row in results.rows)


def test_networks_with_one_seed_are_paired(whole: Run) -> None:
    seeds = {(r["seed_index"], r["seed"]) for r in whole.records() if r["kind"] == CELL}
    assert len(seeds) == 2
    hashes = {r["recipe_hash"] for r in whole.records() if r["kind"] == CELL}
    assert hashes == {read_results(whole).config.recipe.recipe_hash}


def test_random_members_are_fresh_for_every_seed(whole: Run) -> None:
    row = read_results(whole).rows[1]
    assert row.note == "a fresh member per seed"
    assert len(row.networks) == 2


def test_a_study_cut_off_after_any_record_goes_on_to_the_same_figures(
    whole: Run, tmp_path: Path
) -> None:
    log = (whole.path / "trials.log").read_bytes()
    lines = log.splitlines(keepends=True)
    places = range(1, len(lines))
    for count in sorted(places, key=lambda place: place % 4)[: scaled(len(lines) - 1)]:
        root = tmp_path / str(count)
        shutil.copytree(whole.path, root / "made")
        torn = b"".join(lines[:count]) + lines[count][: len(lines[count]) // 2]
        (root / "made" / "trials.log").write_bytes(torn)
        run = finished(root)
        assert figures(run) == figures(whole), count
        assert len(trained(run)) == len(set(trained(run)))
        assert run.records()[:count] == list(scan(log).records[:count])


def test_a_study_killed_for_real_goes_on(whole: Run, tmp_path: Path) -> None:
    file = tmp_path / "made.json"
    config = study(methods=METHODS, **TINY).to_dict()
    file.write_text(json.dumps(config))
    words = ["study", str(file), "--runs", str(tmp_path / "studies"), "--executor", "inline"]
    environment = {**os.environ, VARIABLE: "after_append:5", "OMP_NUM_THREADS": "1"}
    killed = subprocess.run(
        [sys.executable, "-m", "nas", *words], env=environment, capture_output=True, timeout=300
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run = finished(tmp_path / "studies")
    assert figures(run) == figures(whole)
    assert len(trained(run)) == len(set(trained(run))) == 4


@pytest.mark.fault("A5", "A21")
def test_an_interrupt_leaves_the_study_to_be_gone_on_with(whole: Run, tmp_path: Path) -> None:
    config = study(methods=METHODS, **TINY)
    cells: list[int] = []
    step = Training._step

    def look(told: StageProgress) -> None:
        cells.append(told.done if told.unit == "trainings" else 0)

    def interrupted(training: Training, *given: Any) -> Any:
        if cells[-1] == 2 and training.steps == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return step(training, *given)

    with (
        pytest.raises(InterruptedRunError, match="'made' was interrupted") as caught,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr(Training, "_step", interrupted)
        run_study(config, studies=tmp_path, executor="inline", listener=look, command="nas study x")
    assert trainings_left(tmp_path / "made") == 1
    assert caught.value.exit_code == 130
    assert caught.value.fix == "Go on with the same command: nas study x"
    left = Run.open(tmp_path / "made")
    assert left.state() == "interrupted"
    assert b"Not complete yet" in (left.read_view("table.md") or b"")
    run = finished(tmp_path)
    assert figures(run) == figures(whole)
    assert len(trained(run)) == 4
    assert trainings_left(run.path) == 0


def test_a_finished_study_is_not_touched_again(whole: Run, tmp_path: Path) -> None:
    shutil.copytree(whole.path, tmp_path / "made")
    quiet = [
        r for r in whole.records() if r["kind"] == LATENCY and not (r["unstable"] or r["busy"])
    ]
    run = finished(tmp_path)
    more = [r["kind"] for r in run.records()[len(whole.records()) :]]
    assert set(more) <= {LATENCY}  # what was unstable, or beside other work, is measured anew
    assert len(more) <= 3 - len(quiet)


def test_a_changed_file_is_refused_naming_the_key(whole: Run) -> None:
    with pytest.raises(RunError, match=r"file has changed: seeds is 3, .* made with 2"):
        finished(whole.path.parent, seeds=3)


def test_changed_data_are_refused(whole: Run, tmp_path: Path) -> None:
    shutil.copytree(whole.path, tmp_path / "made")
    kept = tmp_path / "made" / "environment.json"
    fingerprint = whole.environment["data"]["digits"]["fingerprint"]
    kept.write_text(kept.read_text().replace(fingerprint, "0" * 64))
    with pytest.raises(RunError, match="data are not those of the run"):
        finished(tmp_path)


def test_a_study_goes_on_where_it_began_and_nowhere_else(
    whole: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(whole.path, tmp_path / "made")
    kept = tmp_path / "made" / "environment.json"
    there = kept.read_text()
    kept.write_text(there.replace('"device": "cpu"', '"device": "cuda:99"'))
    with pytest.raises(EnvironmentFault, match="cuda:99"):
        finished(tmp_path)
    assert Run.open(tmp_path / "made").records() == whole.records()
    kept.write_text(there.replace(whole.environment["versions"]["torch"], "1.0"))
    finished(tmp_path)
    assert "torch was 1.0, here it is" in caplog.text


def test_a_size_nobody_has_is_an_error_where_the_file_says_so(tmp_path: Path) -> None:
    match = {"macs": 10**9, "tolerance": 0.1, "outside": "error"}
    with pytest.raises(ConfigError, match=r"'chain' has no network of the size asked for") as found:
        run_study(study(**{**TINY, "match": match}), studies=tmp_path, executor="inline")
    assert found.value.where == "match.outside"


def test_a_training_that_fails_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.errors import TrialError
    from nas.training import fit as fitting

    real, calls = fitting.Training.run, []

    def run_of(*given: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise TrialError("The training loss is nan.", kind="nonfinite")
        return real(*given, **more)

    monkeypatch.setattr(fitting.Training, "run", run_of)
    run = finished(tmp_path)
    first = read_results(run).rows[0]
    assert first.failures == ("seed 0: nonfinite: The training loss is nan.",)
    assert [each is None for each in first.errors] == [True, False]
    assert len(trained(run)) == 3


def test_a_search_inside_a_study_is_interrupted_and_gone_on_with(tmp_path: Path) -> None:
    search = {
        "kind": "search",
        "shortlist": 2,
        "settings": {
            "preset": "smoke",
            "search": {"trials": 6, "batch": 3},
            "supernet": {
                "training": {"epochs": 1},
                "relaxation": {"enabled": False},
                "recalibration": {"images": 64},
                "validation_images": 64,
            },
        },
    }
    match = {"macs": 260_000, "tolerance": 0.1}
    config = study(methods=[METHODS[0], search], **{**TINY, "match": match, "latency": None})

    def interrupt(told: StageProgress) -> None:
        if told.stage == "explore" and told.done >= 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="'made' was interrupted"):
        run_study(config, studies=tmp_path, executor="inline", listener=interrupt)
    run = run_study(config, studies=tmp_path, executor="inline")
    row = read_results(run).rows[1]
    assert row.complete
    assert row.within
    assert row.details["trials"] == 6
    with Run.open(tmp_path / "made" / "searches" / "d0-s0-m1") as inner:
        walls = [r["wall_seconds"] for r in inner.records() if "wall_seconds" in r]
        left = [r for r in inner.records() if r["kind"] == "stage_left"]
    assert left, "the interrupted owner's time counts too"
    assert row.selection_s > sum(walls) - 0.01
    assert [each["validation_cross_entropy"] > 0 for each in row.details["shortlist"]] == [True] * 2
    assert row.details["trial"] in [each["trial"] for each in row.details["shortlist"]]
    again = read_results(run_study(config, studies=tmp_path, executor="inline"))
    assert again.rows[1] == row
