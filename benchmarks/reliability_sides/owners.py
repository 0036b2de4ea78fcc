"""Two processes on one search: who is refused, how soon, and what comes of it where nobody is."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any, Final

from nas.errors import RunError
from nas.run_store import Run
from reliability_sides import children
from reliability_sides.base import SEED, TRIALS
from reliability_sides.optuna_sides import OptunaSide, toy

WORKERS: Final = 4
LONGEST_S: Final = 60.0


def refused(root: Path, count: int) -> dict[str, Any]:
    """Open a run that a child owns, as owner; kill the child, and open it again."""
    root.mkdir(parents=True)
    Run.create(root, "toy", {"n": 1}, {}).close()
    refusals: list[float] = []
    takeovers: list[float] = []
    for _ in range(count):
        pid = children.start(lambda: _own(root), root)
        _wait_for(root / "owned")
        began = time.monotonic()
        try:
            Run.open(root / "toy", write=True).close()
        except RunError:
            refusals.append(time.monotonic() - began)
        children.end(pid)
        (root / "owned").unlink()
        began = time.monotonic()
        Run.open(root / "toy", write=True).close()
        takeovers.append(time.monotonic() - began)
    return {
        "side": "nas",
        "tries": count,
        "refused": len(refusals),
        "slowest_refusal_s": round(max(refusals, default=0.0), 4),
        "free_after_kill": len(takeovers),
        "slowest_takeover_s": round(max(takeovers), 4),
        "median_takeover_s": round(statistics.median(takeovers), 4),
    }


def _own(root: Path) -> None:
    with Run.open(root / "toy", write=True):
        (root / "owned").touch()
        time.sleep(LONGEST_S)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.001)


def shared(root: Path) -> dict[str, Any]:
    """Let several Optuna processes with one seed work on one study, which nothing refuses."""
    side = OptunaSide("Optuna SQLite")
    root.mkdir(parents=True)
    side.study(root)
    each = 2 * TRIALS
    pids = [
        children.start(
            lambda: side.study(root, SEED).optimize(toy(root), n_trials=each),
            root,
        )
        for _ in range(WORKERS)
    ]
    statuses = [children.wait(pid, LONGEST_S) for pid in pids]
    for pid, status in zip(pids, statuses, strict=True):
        if status is None:
            children.end(pid)
    trials = side.study(root).get_trials(deepcopy=False)
    points = {tuple(sorted(trial.params.items())) for trial in trials}
    return {
        "side": side.name,
        "processes": WORKERS,
        "refused": sum(status not in (0, None) for status in statuses),
        "trials": len(trials),
        "distinct": len(points),
    }
