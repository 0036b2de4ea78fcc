"""Run folders made by hand with the run store, for tests of what reads them: no search runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas.cost.count import cost
from nas.run_store import Run
from nas.space import load_space
from nas.topology.identity import structural_id
from nas.topology.serial import dump_architecture

SHAPE = (1, 8, 8)
CLASSES = 10
ENVIRONMENT = {
    "versions": {"nas": "0", "python": "3"},
    "data": {"name": "digits", "input_shape": list(SHAPE), "num_classes": CLASSES},
}


def made_config(**keys: Any) -> dict[str, Any]:
    """Return a resolved config of a search on `tiny_exhaustive`."""
    from nas.search.settings.resolve import resolve_config

    options = {"objectives": ["error", "macs"], "preset": "smoke", **keys}
    return resolve_config("tiny_exhaustive", options=options).to_dict()


def made_run(root: Path, name: str = "made", trials: int = 6, config: Any = None) -> Path:
    """Create a finished run of `trials` random members with invented errors; return its folder."""
    space = load_space("tiny_exhaustive")
    rng = np.random.default_rng(0)
    with Run.create(root, name, config or made_config(), ENVIRONMENT) as run:
        run.append({"kind": "stage_started", "stage": "explore"})
        for number in range(trials):
            decisions = space.sample(rng)
            architecture = space.build(decisions)
            identity = structural_id(architecture)
            costs = cost(architecture, SHAPE, CLASSES)
            run.append(
                {
                    "kind": "trial_asked",
                    "trial": number,
                    "attempt": 1,
                    "batch": 0,
                    "decisions": decisions,
                    "architecture": dump_architecture(architecture),
                    "architecture_id": identity,
                    "wiring": space.wiring(decisions),
                    "family": space.family(decisions),
                    "proposed_by": "random",
                    "sampler_state": {},
                }
            )
            error = float(rng.uniform(0.02, 0.2))
            values = {
                "error": _objective(error, "fraction", "inherited"),
                "macs": _objective(costs.macs, "MACs", "computed"),
            }
            counted = {
                name: getattr(costs, name)
                for name in ("parameters", "macs", "bytes", "critical_path", "depth")
            }
            run.append(
                {
                    "kind": "trial_finished",
                    "trial": number,
                    "attempt": 1,
                    "values": values,
                    "inherited": {"error": error, "cross_entropy": 3 * error, "count": 100},
                    "measures": counted,
                    "violations": {},
                }
            )
        run.append({"kind": "stage_finished", "stage": "explore"})
        run.append({"kind": "run_finished"})
        run.write_architectures()
        return run.path


def _objective(value: float, unit: str, source: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "iqr": None, "source": source}


def front_of(run: Run) -> dict[str, Any]:
    """Return the front document of a made run, written independently of `nas.search`."""
    trials = run.table().finished()
    best = [
        trial
        for trial in trials
        if not any(
            other.value("error") <= trial.value("error")
            and other.value("macs") <= trial.value("macs")
            and other.number != trial.number
            for other in trials
        )
    ]
    points = [
        {
            "trial": trial.number,
            "architecture": trial.extra["architecture_id"],
            "wiring": trial.extra["wiring"],
            "objectives": {name: dict(values) for name, values in trial.values.items()},
            "error_inherited": trial.value("error"),
            "error_confirmed_mean": 0.03,
            "error_confirmed_std": 0.002,
            "parameters": trial.extra["measures"]["parameters"],
            "macs": trial.extra["measures"]["macs"],
            "latency_ms": None,
            "latency_iqr_ms": None,
        }
        for trial in best
    ]
    baseline = {**points[0], "name": "resnet-8", "kind": "hand_made"} if points else None
    random = {**points[-1], "name": "random-1", "kind": "random"} if points else None
    return {
        "schema": "nas.front/1",
        "points": points,
        "best_per_pattern": points[:1],
        "baselines": [entry for entry in (baseline, random) if entry],
        "simple_baselines": [{"name": "svc", "accuracy": 0.9876}],
    }
