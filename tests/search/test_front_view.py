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
from noisy_runs import LATENCY, noisy_run, noisy_trial

from nas.run_store import Run
from nas.search.api import SearchRun
from nas.search.front.errors import binomial_error
from nas.search.front_view import front_csv, front_document, front_json

Point = dict[str, Any]


def document(root: Path, trials: Sequence[Mapping[str, Any]], upper: float | None = None) -> Point:
    with noisy_run(root, trials, upper) as run:
        return front_document(run)


def by_trial(found: Mapping[str, Any]) -> dict[int, Point]:
    return {point["trial"]: point for point in found["points"]}


def test_every_point_has_a_bar_per_objective(tmp_path: Path) -> None:
    found = by_trial(document(tmp_path, [noisy_trial(0.5, 2.0), noisy_trial(0.9, 1.0)]))
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
    found = by_trial(document(tmp_path, [noisy_trial(float(value), 1.0) for value in values]))
    lucky = found[7]["objectives"]["cross_entropy"]
    assert lucky["value"] == 0.44 and lucky["shrunken"] > 0.46
    assert found[7]["probability_front"] < 0.9


def test_what_could_not_be_measured_keeps_nobody_off_the_front(tmp_path: Path) -> None:
    trials = [noisy_trial(0.1, 1.0), noisy_trial(0.5, 2.0)]
    with noisy_run(tmp_path, trials) as run:
        assert by_trial(front_document(run)).keys() == {0}
    with Run.open(tmp_path / "made", write=True) as run:
        run.append({"kind": "trial_unmeasured", "trial": 0, "reason": "oom", "message": "no"})
        found = front_document(run)
    assert found["near_front"] == []
    assert [(each["trial"], each["probability_front"]) for each in found["points"]] == [(1, 1.0)]


def test_scores_on_the_same_images_are_compared_in_pairs(tmp_path: Path) -> None:
    same, opposite = (0.3, -0.3), (-0.3, 0.3)
    together = by_trial(
        document(tmp_path / "a", [noisy_trial(0.5, 2.0, same), noisy_trial(0.52, 1.98, same)])
    )
    assert together[0]["objectives"]["cross_entropy"]["ties"] == []
    against = by_trial(
        document(tmp_path / "b", [noisy_trial(0.5, 2.0, same), noisy_trial(0.52, 1.98, opposite)])
    )
    assert against[0]["objectives"]["cross_entropy"]["ties"] == [1]
    assert against[0]["ties"] == [1] and against[1]["ties"] == [0]
    assert against[0]["tie_group"] == against[1]["tie_group"] == 0


def test_who_may_be_on_the_front_is_told(tmp_path: Path) -> None:
    found = document(
        tmp_path,
        [
            noisy_trial(0.5, 1.0),
            noisy_trial(0.51, 1.001),
            noisy_trial(0.9, 1.5),
            noisy_trial(0.4, 3.0),
        ],
    )
    assert sorted(by_trial(found)) == [0, 3]
    assert [each["trial"] for each in found["near_front"]] == [1]
    assert 0.2 < found["near_front"][0]["probability_front"] < 0.9
    assert found["points"][0]["probability_front"] > 0.95


def test_the_front_has_a_volume_and_a_knee(tmp_path: Path) -> None:
    found = document(
        tmp_path, [noisy_trial(1.0, 1.0), noisy_trial(0.3, 1.3), noisy_trial(0.2, 3.0)]
    )
    volume = found["hypervolume"]
    assert set(volume["reference"]) == {"cross_entropy", LATENCY}
    assert volume["low"] < volume["value"] < volume["high"]
    assert found["knee"]["trial"] == 1 and found["knee"]["probability"] > 0.9
    assert [point["knee"] for point in found["points"]] == [False, True, False]
    assert sum(point["hypervolume_contribution"] for point in found["points"]) <= volume["value"]


def test_constraints_have_their_verdict_on_measured_values(tmp_path: Path) -> None:
    found = document(
        tmp_path, [noisy_trial(0.9, 1.0), noisy_trial(0.5, 1.995), noisy_trial(0.1, 3.0)], upper=2.0
    )
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
                noisy_trial(0.5, 2.0, unstable=True, busy=True),
                noisy_trial(0.9, 1.0, source="predicted", standard_error=0.2),
                noisy_trial(0.7, 1.5, unstable=False),
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
        noisy_trial(float(a), float(b), rng.normal(size=8), error=0.2)
        for a, b in rng.uniform(1, 2, (30, 2))
    ]
    with noisy_run(tmp_path, trials) as run:
        first, second = front_json(run), front_json(run)
    assert first == second
    assert json.loads(first) == front_document(Run.open(tmp_path / "made"))


@pytest.mark.fault("E4")
def test_an_empty_front_has_no_volume_and_no_knee(tmp_path: Path) -> None:
    found = document(tmp_path, [])
    assert found["points"] == [] and found["near_front"] == []
    assert found["hypervolume"] is None and found["knee"] is None
    outside = document(tmp_path / "b", [noisy_trial(0.5, 9.0)], upper=2.0)
    assert outside["points"] == [] and outside["hypervolume"] is None


def test_the_table_has_errors_ties_and_the_knee(tmp_path: Path) -> None:
    with noisy_run(
        tmp_path,
        [noisy_trial(1.0, 1.0), noisy_trial(0.3, 1.3, unstable=True), noisy_trial(0.2, 3.0)],
    ) as run:
        rows = list(csv.DictReader(io.StringIO(front_csv(run).decode())))
    knee = next(row for row in rows if row["knee"] == "true")
    assert knee["trial"] == "1" and knee["flags"] == "unstable" and knee["ties"] == ""
    assert float(knee["cross_entropy standard_error (nats)"]) == 0.02
    assert float(knee["cross_entropy shrunken (nats)"]) == pytest.approx(0.3)


def test_no_mistake_among_few_images_is_no_certainty() -> None:
    assert binomial_error(0.0, 100) > 0.005
    assert binomial_error(0.5, 10_000) == pytest.approx(0.005, rel=1e-3)


def test_the_api_gives_the_knee(tmp_path: Path) -> None:
    with noisy_run(tmp_path, [noisy_trial(1.0, 1.0), noisy_trial(0.3, 1.3), noisy_trial(0.2, 3.0)]):
        found = SearchRun.open(tmp_path / "made").knee()
    assert found is not None and found["trial"] == 1
    with noisy_run(tmp_path / "empty", []):
        assert SearchRun.open(tmp_path / "empty" / "made").knee() is None
