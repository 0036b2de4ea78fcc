"""Whole small runs, killed at random moments and gone on with: what each comes to, as JSON lines.

As a script: `folder of runs, runs, seed`. It imports everything, and each leg of a run is a child
forked off it, so a kill costs no imports. The first line is the run that nobody killed.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from nas.cli.main import run as command
from nas.run_store import Run, faults
from nas.run_store.layout import TRAININGS
from nas.search.driver import resume, search
from nas.search.executors.attempt import TALK
from nas.search.settings.config import SearchConfig
from nas.search.settings.resolve import resolve_config

CONFIG = {
    "space": "tiny_exhaustive",
    "preset": "smoke",
    "objectives": ["error", "macs"],
    "max_train_images": 300,
    "supernet": {
        "relaxation": {"enabled": False},
        "training": {"epochs": 6, "checkpoint_every_s": 0},
        "validation_images": 64,
        "recalibration": {"images": 64},
    },
    "search": {"trials": 3, "batch": 3},
    "confirm": {
        "bins": 1,
        "shortlist": 2,
        "seeds_a": 2,
        "seeds_b": 2,
        "recipe": {"epochs": 2},
        "recipes": {"rate_factors": [1.0], "decay_factors": [1.0]},
        "test_images": 50,
        "checkpoint_every_s": 0,
        "rivals": ["random_members"],
        "baselines": {"random": 1},
    },
    "executor": {"kind": "inline"},
}
KINDS = (
    "trial_finished",
    "confirm_validated",
    "confirm_finished",
    "confirm_judged",
    "rank_truth",
    "rank_scores",
    "verdict",
)
LOADED = (
    "nas.search.confirm.stage",
    "nas.search.ranking.tasks",
    "nas.search.ranking.stage",
    "nas.search.training.retrain_task",
    "nas.search.samplers.nsga2",
    "nas.supernet.paths",
    "pyarrow.parquet",
    "sklearn.datasets",
    "sklearn.svm",
    "torch._dynamo",
)
"""What a leg needs, loaded once: no leg runs in the process that they are forked off."""

STATES = (7, 80)
"""Numbers of states of trainings; the first are checkpoints of the supernet."""

TIMES = ("seconds", "measuring_seconds", "attempt")
SAID = "said.log"
"""Beside a run: what its trainings said, in all legs."""


def config() -> SearchConfig:
    return resolve_config(CONFIG)


def whole(path: Path) -> None:
    """Search, confirm and rank, or go on with what is left of it."""
    said = logging.FileHandler(said_by(path))
    logging.getLogger(TALK).addHandler(said)
    logging.getLogger(TALK).setLevel(logging.INFO)
    if not path.exists():
        search(config(), runs=path.parent, name=path.name)
    elif Run.open(path).state() != "finished":
        resume(path)
    asked = ["--architectures=3", "--epochs=2", "--executor=inline", "--json"]
    if ranking := command(["supernet", "rank", str(path), *asked]):
        raise SystemExit(ranking)


def said_by(path: Path) -> Path:
    """Return the file of what the trainings of a run said."""
    return path.with_name(f"{path.name}-{SAID}")


def leg(path: Path, limit_s: float | None = None, state: int | None = None) -> int:
    """Work in a child for so long, or to the state of that number; return how it ended."""
    child = os.fork()
    if child == 0:
        status = 1
        if state is not None:
            os.environ[faults.VARIABLE] = f"weights_after_put:{state}"
        try:
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), 1)
            whole(path)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if limit_s is not None:
        time.sleep(limit_s)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def came_to(path: Path) -> dict[str, Any]:
    """Return what a run holds in the end, without what times tell, and how often it was told."""
    with Run.open(path) as run:
        records = [each for each in run.records() if each["kind"] in KINDS]
        checkpoint = run.table().stages["supernet"].checkpoint
        views = {name: (run.read_view(name) or b"").decode() for name in ("front.csv", "rank.json")}
    told = [{key: value for key, value in each.items() if key not in TIMES} for each in records]
    lines = sorted(json.dumps(each, sort_keys=True) for each in told)
    assert not (path / TRAININGS).exists(), "a training was kept that has its end"
    went_on = said_by(path).read_text().count("goes on where it was left")
    return {"supernet": checkpoint, "records": lines, "views": views, "went_on": went_on}


def main(folder: Path, runs: int, seed: int) -> None:
    for name in LOADED:
        importlib.import_module(name)
    began = time.monotonic()
    assert leg(folder / "straight") == 0
    lasted_s = time.monotonic() - began
    print(json.dumps({"kills": 0, "last": [], **came_to(folder / "straight")}), flush=True)
    rng = np.random.default_rng(seed)
    for number in range(runs):
        path = folder / f"run-{number}"
        killed = []
        first: dict[str, Any] = {"state": int(rng.integers(*STATES))}
        count = int(rng.integers(0, 3))
        times = [{"limit_s": float(rng.uniform(0.02, 0.98)) * lasted_s} for _ in range(count)]
        for moment in (first, *times):
            if leg(path, **moment) != -signal.SIGKILL:
                break
            killed.append(last_record(path))
        assert leg(path) == 0
        print(json.dumps({"kills": len(killed), "last": killed, **came_to(path)}), flush=True)


def last_record(path: Path) -> str:
    """Return the kind of the last record before a kill."""
    if not path.exists():
        return "none"
    with Run.open(path) as run:
        return str(run.records()[-1]["kind"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
