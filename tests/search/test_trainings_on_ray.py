"""Trainings that Ray Tune runs for a confirmation and a ranking say what they say here."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from killed_trainings import TIMES, config
from scale import is_full_scale

from nas.cli.main import run as command
from nas.errors import InterruptedRunError
from nas.run_store import Run
from nas.search.driver import resume, search
from nas.search.progress import StageProgress


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was left right before its first training from scratch."""
    folder = tmp_path_factory.mktemp("runs")

    def leave(told: StageProgress) -> None:
        if told.stage == "confirm seeds A":
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(InterruptedRunError):
        search(config(), runs=folder, name="one", listener=leave)
    return folder / "one"


def results(path: Path) -> list[str]:
    """Return what the trainings of a run came to, in no order."""
    with Run.open(path) as run:
        kinds = ("confirm_validated", "confirm_finished", "confirm_judged", "rank_truth", "verdict")
        records = [each for each in run.records() if each["kind"] in kinds]
    told = [{key: value for key, value in each.items() if key not in TIMES} for each in records]
    return sorted(json.dumps(each, sort_keys=True) for each in told)


def finished(path: Path, executor: str) -> list[str]:
    resume(path, executor=executor, workers=1)
    if is_full_scale():
        options = ["--architectures=3", "--epochs=2", f"--executor={executor}", "--workers=1"]
        assert command(["supernet", "rank", str(path), *options]) == 0
    return results(path)


@pytest.mark.fault("G-D3")
def test_trainings_on_ray_give_the_records_that_they_give_here(
    explored: Path, tmp_path: Path
) -> None:
    here, there = (Path(shutil.copytree(explored, tmp_path / name)) for name in ("here", "there"))
    assert finished(there, "ray") == finished(here, "inline")
    assert len(results(here)) >= 9
    named: dict[str, Any] = {}
    for path in (here, there):
        with Run.open(path) as run:
            kept = [each["weights"] for each in run.records() if "weights" in each]
            assert kept and all(run.weights.get(sha) for sha in kept)
            named[path.name] = kept
    assert named["here"] == named["there"], "the driver wrote what workers trained"
