"""The front document from runs made by hand: bars, ties, probabilities, verdicts and flags."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import ENVIRONMENT, made_config

from nas.run_store import Run
from nas.search.front.errors import binomial_error
from nas.search.front_view import front_csv, front_document, front_json

LATENCY = "latency_ms[eager,b1,fp32]"
FOLDS = 8
IMAGES = 800

Point = dict[str, Any]


def inherited(cross_entropy: float, error: float, pattern: Sequence[float]) -> dict[str, Any]:
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


def trial(
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
        "inherited": inherited(cross_entropy, error, pattern),
        "measurements": {LATENCY: {"relative_error": relative_error, **details}},
        "measures": {"macs": int(1e6 * latency), "parameters": int(1e4 * latency), "depth": 5},
    }


def made(
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


def document(root: Path, trials: Sequence[Mapping[str, Any]], upper: float | None = None) -> Point:
    with made(root, trials, upper) as run:
        return front_document(run)


def by_trial(found: Mapping[str, Any]) -> dict[int, Point]:
    return {point["trial"]: point for point in found["points"]}


def test_every_point_has_a_bar_per_objective(tmp_path: Path) -> None:
    found = by_trial(document(tmp_path, [trial(0.5, 2.0), trial(0.9, 1.0)]))
    loss = found[0]["objectives"]["cross_entropy"]
    assert loss["standard_error"] == 0.02
    assert (loss["low"], loss["high"]) == pytest.approx((0.5 - 0.0392, 0.5 + 0.0392), abs=1e-4)
    latency = found[0]["objectives"][LATENCY]
    assert latency["standard_error"] == pytest.approx(0.01)
    assert found[0]["latency_bar_ms"] == pytest.approx(0.0196, abs=1e-4)
    # Too few trials to know how far apart networks lie: nothing is shrunk.
    assert loss["shrunken"] == 0.5 and loss["shrunken_low"] == pytest.approx(loss["low"])
    assert found[0]["probability_front"] == found[1]["probability_front"] == 1.0
    assert found[0]["flags"] == [] and found[0]["ties"] == []
    assert found[0]["tie_group"] != found[1]["tie_group"]


def test_a_lucky_value_is_drawn_back(tmp_path: Path) -> None:
    values = 0.5 + 0.02 * np.random.default_rng(0).normal(size=20)  # nothing but noise
    values[7] = 0.44
    found = by_trial(document(tmp_path, [trial(float(value), 1.0) for value in values]))
    lucky = found[7]["objectives"]["cross_entropy"]
    assert lucky["value"] == 0.44 and lucky["shrunken"] > 0.46
    assert found[7]["probability_front"] < 0.9


def test_scores_on_the_same_images_are_compared_in_pairs(tmp_path: Path) -> None:
    same, opposite = (0.3, -0.3), (-0.3, 0.3)
    together = by_trial(document(tmp_path / "a", [trial(0.5, 2.0, same), trial(0.52, 1.98, same)]))
    assert together[0]["objectives"]["cross_entropy"]["ties"] == []
    against = by_trial(
        document(tmp_path / "b", [trial(0.5, 2.0, same), trial(0.52, 1.98, opposite)])
    )
    assert against[0]["objectives"]["cross_entropy"]["ties"] == [1]
    assert against[0]["ties"] == [1] and against[1]["ties"] == [0]
    assert against[0]["tie_group"] == against[1]["tie_group"] == 0


def test_who_may_be_on_the_front_is_told(tmp_path: Path) -> None:
    found = document(
        tmp_path, [trial(0.5, 1.0), trial(0.51, 1.001), trial(0.9, 1.5), trial(0.4, 3.0)]
    )
    assert sorted(by_trial(found)) == [0, 3]
    assert [each["trial"] for each in found["near_front"]] == [1]
    assert 0.2 < found["near_front"][0]["probability_front"] < 0.9
    assert found["points"][0]["probability_front"] > 0.95


def test_the_front_has_a_volume_and_a_knee(tmp_path: Path) -> None:
    found = document(tmp_path, [trial(1.0, 1.0), trial(0.3, 1.3), trial(0.2, 3.0)])
    volume = found["hypervolume"]
    assert set(volume["reference"]) == {"cross_entropy", LATENCY}
    assert volume["low"] < volume["value"] < volume["high"]
    assert found["knee"]["trial"] == 1 and found["knee"]["probability"] > 0.9
    assert [point["knee"] for point in found["points"]] == [False, True, False]
    assert sum(point["hypervolume_contribution"] for point in found["points"]) <= volume["value"]


def test_constraints_have_their_verdict_on_measured_values(tmp_path: Path) -> None:
    found = document(tmp_path, [trial(0.9, 1.0), trial(0.5, 1.995), trial(0.1, 3.0)], upper=2.0)
    points = by_trial(found)
    assert sorted(points) == [0, 1]  # the third breaks the bound
    verdicts = {number: point["constraints"][LATENCY] for number, point in points.items()}
    assert verdicts[0]["verdict"] == "kept" and verdicts[0]["source"] == "measured"
    assert verdicts[1]["verdict"] == "not told apart from the bound"
    assert points[1]["flags"] == ["infeasible within noise"]
    assert points[1]["probability_front"] < 0.9
    assert found["constraints"][0]["verdicts"] == {
        "0": "kept",
        "1": "not told apart from the bound",
    }


def test_flags_say_what_a_reader_must_know(tmp_path: Path) -> None:
    found = by_trial(
        document(
            tmp_path,
            [
                trial(0.5, 2.0, unstable=True, busy=True),
                trial(0.9, 1.0, source="predicted", standard_error=0.2),
                trial(0.7, 1.5, unstable=False),
            ],
        )
    )
    assert found[0]["flags"] == ["unstable", "busy"]
    assert found[1]["flags"] == ["predicted"]
    assert found[1]["objectives"][LATENCY]["standard_error"] == 0.2
    assert found[2]["flags"] == []


def test_a_view_made_twice_has_the_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    trials = [
        trial(float(a), float(b), rng.normal(size=8), error=0.2)
        for a, b in rng.uniform(1, 2, (30, 2))
    ]
    with made(tmp_path, trials) as run:
        first, second = front_json(run), front_json(run)
    assert first == second
    assert json.loads(first) == front_document(Run.open(tmp_path / "made"))


def test_an_empty_front_has_no_volume_and_no_knee(tmp_path: Path) -> None:
    found = document(tmp_path, [])
    assert found["points"] == [] and found["near_front"] == []
    assert found["hypervolume"] is None and found["knee"] is None
    outside = document(tmp_path / "b", [trial(0.5, 9.0)], upper=2.0)
    assert outside["points"] == [] and outside["hypervolume"] is None


def test_the_table_has_errors_ties_and_the_knee(tmp_path: Path) -> None:
    with made(tmp_path, [trial(1.0, 1.0), trial(0.3, 1.3, unstable=True), trial(0.2, 3.0)]) as run:
        rows = list(csv.DictReader(io.StringIO(front_csv(run).decode())))
    knee = next(row for row in rows if row["knee"] == "true")
    assert knee["trial"] == "1" and knee["flags"] == "unstable" and knee["ties"] == ""
    assert float(knee["cross_entropy standard_error (nats)"]) == 0.02
    assert float(knee["cross_entropy shrunken (nats)"]) == pytest.approx(0.3)


def test_no_mistake_among_few_images_is_no_certainty() -> None:
    assert binomial_error(0.0, 100) > 0.005
    assert binomial_error(0.5, 10_000) == pytest.approx(0.005, rel=1e-3)
