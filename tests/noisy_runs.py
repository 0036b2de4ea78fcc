"""Runs with noise, made by hand, whose bars, ties and probabilities are known beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from made_runs import ENVIRONMENT, made_config

from nas.run_store import Run

LATENCY = "latency_ms[eager,b1,fp32]"
FOLDS = 8
IMAGES = 800


def inherited_score(cross_entropy: float, error: float, pattern: Sequence[float]) -> dict[str, Any]:
    """Return a score on 800 images whose folds deviate as the pattern says."""
    each = IMAGES // FOLDS
    rows = np.resize(np.asarray(pattern, dtype=float), FOLDS)
    return {
        "cross_entropy": cross_entropy,
        "error": error,
        "count": IMAGES,
        "noise": {
            "cross_entropy_error": 0.02,
            "images": [each] * FOLDS,
            "wrong": (each * error + rows).tolist(),
            "cross_entropies": (each * (cross_entropy + rows)).tolist(),
        },
    }


def noisy_trial(
    cross_entropy: float,
    latency: float,
    pattern: Sequence[float] = (0.0,),
    *,
    relative_error: float = 0.005,
    error: float = 0.1,
    **details: Any,
) -> dict[str, Any]:
    """Return what a record says of a finished trial."""
    source = details.pop("source", "measured")
    return {
        "values": {
            "cross_entropy": {
                "value": cross_entropy,
                "unit": "nats",
                "iqr": None,
                "source": "inherited",
            },
            LATENCY: {"value": latency, "unit": "ms", "iqr": 0.01, "source": source},
        },
        "inherited": inherited_score(cross_entropy, error, pattern),
        "measurements": {LATENCY: {"relative_error": relative_error, **details}},
        "measures": {"macs": int(1e6 * latency), "parameters": int(1e4 * latency), "depth": 5},
    }


def noisy_run(
    root: Path, trials: Sequence[Mapping[str, Any]], upper: float | None = None, name: str = "made"
) -> Run:
    """Return a run with these finished trials, of one family."""
    bound = {"objective": LATENCY, "upper": upper, "lower": None, "unit": "ms", "text": "bound"}
    objectives = [
        {"name": "cross_entropy", "unit": "nats", "source": "inherited"},
        {"name": LATENCY, "unit": "ms", "source": "measured"},
    ]
    with Run.create(root, name, made_config(), ENVIRONMENT) as run:
        run.append({"kind": "stage_started", "stage": "prepare"})
        prepared = {"objectives": objectives, "constraints": [] if upper is None else [bound]}
        run.append({"kind": "stage_finished", "stage": "prepare", **prepared})
        for number, each in enumerate(trials):
            asked = {"trial": number, "attempt": 1, "decisions": {"n": number}, "family": "chain"}
            run.append({"kind": "trial_asked", "wiring": "chain", **asked})
            over = 0.0 if upper is None else each["values"][LATENCY]["value"] / upper - 1
            done = {"trial": number, "attempt": 1, "violations": {LATENCY: over}, **each}
            run.append({"kind": "trial_finished", **done})
    return Run.open(root / name)
