"""Runs side by side: one reference for all, the best within budgets, and what does not compare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run
from noisy_runs import LATENCY, noisy_run, noisy_trial

from nas.errors import ConfigError, RunError
from nas.run_store import Run
from nas.search.front.comparison import comparison

FAST = [(0.9, 1.0), (0.5, 2.0), (0.4, 9.0)]
SLOW = [(0.45, 3.0), (0.8, 4.0), (0.3, 8.0)]


def run_of(root: Path, name: str, points: list[tuple[float, float]]) -> Run:
    return noisy_run(root, [noisy_trial(*point) for point in points], name=name)


def with_environment(run: Run, **parts: Any) -> Run:
    """Return the run as if it had been made elsewhere."""
    path = run.path / "environment.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["environment"].update(parts)
    path.write_text(json.dumps(document), encoding="utf-8")
    return Run.open(run.path)


@pytest.fixture
def pair(tmp_path: Path) -> Mapping[str, Run]:
    return {"fast": run_of(tmp_path, "fast", FAST), "slow": run_of(tmp_path, "slow", SLOW)}


def staircase_area(points: list[tuple[float, float]], corner: tuple[float, float]) -> float:
    """Return the area below a corner that points dominate, by a fine grid."""
    xs = sorted({x for x, _ in points} | {corner[0]})
    area = 0.0
    for left, right in pairwise(xs):
        lowest = min(y for x, y in points if x <= left)
        area += (right - left) * max(0.0, corner[1] - lowest)
    return area


def test_volumes_have_one_reference_behind_every_point(pair: Mapping[str, Run]) -> None:
    document = comparison(pair)
    corner = tuple(document["reference"].values())
    for each in document["runs"]:
        points = [tuple(point["values"]) for point in each["front"]]
        assert all(point[0] < corner[0] and point[1] < corner[1] for point in points)
        volume = each["hypervolume"]
        assert volume["value"] == pytest.approx(staircase_area(points, corner))  # type: ignore[arg-type]
        assert volume["low"] <= volume["shrunken"] <= volume["high"]


def test_the_best_within_a_budget_is_of_each_run(pair: Mapping[str, Run]) -> None:
    document = comparison(pair, [8.5, 2.5])
    assert document["budgets"] == {
        "name": LATENCY, "unit": "ms", "source": "measured", "values": [2.5, 8.5],
    }  # fmt: skip
    fast, slow = document["runs"]
    assert [point["trial"] for point in fast["best"]] == [1, 1]
    assert slow["best"][0] is None and slow["best"][1]["trial"] == 2
    value = slow["best"][1]["objectives"]["cross_entropy"]
    assert value["low"] < value["value"] < value["high"]
    assert slow["best"][1]["error_confirmed_mean"] is None


def test_without_budgets_three_lie_inside_the_fronts(pair: Mapping[str, Run]) -> None:
    values = comparison(pair)["budgets"]["values"]
    assert len(values) == 3 and values == sorted(values)
    assert values[0] >= 1.0 and values[-1] <= 9.0


def test_the_joint_front_counts_what_nobody_beats(pair: Mapping[str, Run]) -> None:
    fast, slow = comparison(pair)["runs"]
    # (0.4, 9.0) of the one is beaten by (0.3, 8.0) of the other.
    assert (fast["points"], fast["joint_front"]) == (3, 2)
    assert (slow["points"], slow["joint_front"]) == (2, 2)


def test_notes_say_which_numbers_do_not_compare(pair: Mapping[str, Run]) -> None:
    same = comparison(pair)
    assert same["same"] == {"data": True, "space": True, "device": True, "preset": True}
    (told,) = same["notes"]
    assert "only the retrained test errors compare" in told
    elsewhere = with_environment(
        pair["slow"], data={"fingerprint": "other"}, device="cuda", fingerprint={"processor": "X"}
    )
    document = comparison({"fast": pair["fast"], "slow": elsewhere})
    assert not document["same"]["data"] and not document["same"]["device"]
    text = " ".join(document["notes"])
    assert "on different data" in text and "of different devices" in text


def test_an_empty_front_has_no_volume_and_says_so(tmp_path: Path) -> None:
    runs = {"full": run_of(tmp_path, "full", FAST), "empty": run_of(tmp_path, "empty", [])}
    document = comparison(runs)
    full, empty = document["runs"]
    assert full["hypervolume"]["value"] > 0
    assert empty["hypervolume"] == {"value": 0.0, "shrunken": 0.0, "low": 0.0, "high": 0.0}
    assert empty["best"] == [None] * len(document["budgets"]["values"])
    assert "nothing on the front yet: empty" in document["notes"]
    nothing = comparison({"a": runs["empty"], "b": Run.open(runs["empty"].path)})
    assert nothing["reference"] is None and nothing["runs"][0]["hypervolume"] is None


def test_runs_without_two_common_objectives_are_refused(tmp_path: Path) -> None:
    runs = {"fast": run_of(tmp_path, "fast", FAST), "other": Run.open(made_run(tmp_path, "other"))}
    with pytest.raises(ConfigError, match="share no two objectives") as caught:
        comparison(runs)
    assert caught.value.why == f"fast: cross_entropy, {LATENCY}; other: none yet"


def test_one_run_too_many_and_budgets_of_nothing_are_refused(pair: Mapping[str, Run]) -> None:
    with pytest.raises(ConfigError, match="takes 2 to 20 different runs, not 1"):
        comparison({"fast": pair["fast"]})
    with pytest.raises(ConfigError, match="takes 2 to 20 different runs, not 21"):
        comparison({str(place): pair["fast"] for place in range(21)})
    with pytest.raises(ConfigError, match="A budget of -1 is not possible"):
        comparison(pair, [2.0, -1.0])


def test_a_study_is_refused(tmp_path: Path, pair: Mapping[str, Run]) -> None:
    with Run.create(tmp_path, "study", {"schema": "nas.study/1"}, {}) as run:
        pass
    with pytest.raises(RunError, match="'study' is a study, not a search"):
        comparison({**pair, "study": Run.open(run.path)})
