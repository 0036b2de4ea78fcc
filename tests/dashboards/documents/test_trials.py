"""Trials as columns, what has changed since a record, relatives, failures, space, comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dashboard_documents import problems, types
from made_runs import ENVIRONMENT, made_config, made_run
from noisy_runs import LATENCY, noisy_run, noisy_trial
from scipy import stats

from dashboards.documents import Reading, document, increment
from dashboards.documents.decisions import changes
from nas.run_store import Run


def get(runs: Path, part: str, name: str = "made") -> Any:
    """Return a document of a run, which keeps its type."""
    path = f"/api/runs/{name}{part}"
    found = document(runs, path)
    assert part == "/front" or problems(path, found) == []
    return found


def finish(run: Run, number: int, cross_entropy: float, latency: float, **decisions: Any) -> None:
    """Append a finished trial."""
    asked = {"trial": number, "attempt": 1, "decisions": decisions, "family": "chain"}
    run.append({"kind": "trial_asked", "wiring": "chain", **asked})
    done = noisy_trial(cross_entropy, latency)
    run.append({"kind": "trial_finished", "trial": number, "attempt": 1, "violations": {}, **done})


# ---------------------------------------------------------------- columns and changes


def test_bars_are_those_of_the_front_and_exact_numbers_have_none(tmp_path: Path) -> None:
    noisy_run(tmp_path, [noisy_trial(0.5, 2.0), noisy_trial(0.9, 1.0)]).close()
    columns, front = get(tmp_path, "/trials"), get(tmp_path, "/front")
    for row, number in enumerate(columns["trial"]):
        point = next(point for point in front["points"] if point["trial"] == number)
        for name in ("cross_entropy", LATENCY):
            told = point["objectives"][name]
            ends = columns["low"][name][row], columns["high"][name][row]
            assert ends == pytest.approx((told["low"], told["high"]), rel=1e-5)
    made_run(tmp_path, name="counted")
    columns = get(tmp_path, "/trials", "counted")
    assert set(columns["low"]["macs"]) == {None}


def test_an_increment_holds_what_changed_and_who_left_the_front(tmp_path: Path) -> None:
    noisy_run(tmp_path, [noisy_trial(0.5, 2.0), noisy_trial(0.9, 1.0)]).close()
    with Run.open(tmp_path / "made", write=True) as run:
        seen = Reading(run).seq
        finish(run, 2, 0.4, 1.5, n=2)
        found = increment(Reading(run), seen)
        assert types().problems("Increment", found) == []
        assert found["trials"]["trial"] == [2] and found["trials"]["total"] == 3
        assert found["trials"]["front"] == [1, 2]  # 0 has left
        assert found["seq"] == found["run"]["seq"] == found["trials"]["seq"] == seen + 2
        run.append({"kind": "trial_unmeasured", "trial": 1, "reason": "busy", "message": "no"})
        later = increment(Reading(run), found["seq"])["trials"]
    assert (later["trial"], later["feasible"], later["reason"]) == ([1], [False], ["busy"])
    assert later["front"] == [2]


def test_seconds_and_reasons_are_known_or_null(tmp_path: Path) -> None:
    with Run.create(tmp_path, "made", made_config(), ENVIRONMENT) as run:
        for number in range(3):
            run.append({"kind": "trial_asked", "trial": number, "attempt": 1, "decisions": {}})
        told = {"seconds": 1.5, "measuring_seconds": 0.25, "message": "loss is nan"}
        failed = {"kind": "trial_failed", "attempt": 1, "reason": "nonfinite", **told}
        run.append({**failed, "trial": 0})
        run.append({"kind": "trial_failed", "trial": 1, "attempt": 1, "reason": "oom"})
    columns = get(tmp_path, "/trials")
    assert columns["state"] == ["failed", "failed", "open"]
    assert columns["seconds"] == [1.75, None, None]
    assert columns["reason"] == ["nonfinite", "oom", None]
    assert columns["feasible"] == [None, None, None]
    failures = get(tmp_path, "/failures")
    assert [(each["reason"], each["count"]) for each in failures["groups"]] == [
        ("nonfinite", 1),
        ("oom", 1),
    ]
    assert failures["groups"][0]["messages"][0] == {
        "message": "loss is nan",
        "count": 1,
        "trials": [0],
    }
    trial = get(tmp_path, "/trials/0")
    assert trial["failure"] == {"reason": "nonfinite", "message": "loss is nan"}
    assert trial["architecture"] is None and "no architecture" in trial["architecture_problem"]


# ---------------------------------------------------------------- relatives


def test_relatives_are_told_as_recorded_or_as_the_nearest(tmp_path: Path) -> None:
    with Run.create(tmp_path, "made", made_config(), ENVIRONMENT) as run:
        asked = {"attempt": 1, "kind": "trial_asked"}
        run.append({**asked, "trial": 0, "decisions": {"a": 1, "b": ["x"], "c": 1}})
        run.append({**asked, "trial": 1, "decisions": {"a": 2, "b": ["y"], "c": 1}})
        run.append({**asked, "trial": 2, "decisions": {"a": 2, "b": ["x", "y"]}})
        proposed = {"decisions": {"a": 1, "b": ["y"], "c": 1}, "parents": [0, 1]}
        run.append({**asked, "trial": 3, **proposed})
    assert get(tmp_path, "/trials/0")["lineage"] == []
    assert get(tmp_path, "/trials/2")["lineage"] == [
        {
            "trial": 1,
            "relation": "nearest earlier trial",
            "changes": ["b: y → x+y", "c: 1 → not asked"],
        }
    ]
    parents = get(tmp_path, "/trials/3")["lineage"]
    assert [(each["trial"], each["relation"]) for each in parents] == [
        (0, "parent, as recorded"),
        (1, "parent, as recorded"),
    ]
    assert [each["changes"] for each in parents] == [["b: x → y"], ["a: 2 → 1"]]
    neighbours = get(tmp_path, "/trials/3")["neighbours"]
    assert [each["trial"] for each in neighbours] == [0, 1, 2]


def test_neighbours_are_sorted_by_differences_and_the_front_comes_first(tmp_path: Path) -> None:
    noisy_run(tmp_path, [noisy_trial(0.5 + n % 3, 2.0 - n / 10) for n in range(12)]).close()
    front = set(get(tmp_path, "/trials")["front"])
    assert 1 < len(front) < 12
    with Run.open(tmp_path / "made") as run:
        decisions = {trial.number: trial.decisions for trial in run.table().finished()}
    for number in range(0, 12, 5):
        found = get(tmp_path, f"/trials/{number}")["neighbours"]
        expected = sorted(
            (len(changes(decisions[number], other)), key not in front, key)
            for key, other in decisions.items()
            if key != number
        )
        assert [each["trial"] for each in found] == [key for *_, key in expected][: len(found)]
        assert [each["on_front"] for each in found] == [each["trial"] in front for each in found]


def test_the_same_network_proposed_again_is_told_on_both_sides(tmp_path: Path) -> None:
    entry = {"duplicate": False, "decisions": {}, "proposed_by": "random", "sampler_state": {}}
    with Run.create(tmp_path, "made", made_config(), ENVIRONMENT) as run:
        entries = [{**entry, "trial": 0, "replays": None}, {**entry, "trial": 1, "replays": 0}]
        entries.append({**entry, "trial": 0, "duplicate": True, "replays": None})
        run.append({"kind": "batch_proposed", "batch": 0, "entries": entries, "exhausted": False})
        for number in range(2):
            run.append({"kind": "trial_asked", "trial": number, "attempt": 1, "decisions": {}})
    assert get(tmp_path, "/trials")["duplicate_of"] == [None, 0]
    assert get(tmp_path, "/trials/0")["duplicates"] == [1]
    assert get(tmp_path, "/trials/1")["duplicates"] == [0]
    assert get(tmp_path, "/progress")["trials"]["duplicates"] == 1


# ---------------------------------------------------------------- progress


def test_the_rate_follows_from_the_last_trials_and_then_from_the_stage(tmp_path: Path) -> None:
    config = made_config(search={"trials": 10})
    with Run.create(tmp_path, "made", config, ENVIRONMENT) as run:
        run.append({"kind": "stage_started", "stage": "explore"})
        for number in range(4):
            run.append({"kind": "trial_asked", "trial": number, "attempt": 1, "decisions": {}})
            failed = {"kind": "trial_failed", "attempt": 1, "reason": "crash"}
            run.append({**failed, "trial": number, "seconds": 2.0, "measuring_seconds": 1.0})
        run.note("workers", workers=4, memory_mb=100.0, worker_memory_mb=None)
        found = get(tmp_path, "/progress")
        assert found["state"] == "running"
        assert found["trials_per_second"] == pytest.approx(1 / (2 / 4 + 1), rel=1e-5)
        assert found["seconds_left"] == pytest.approx(6 * (2 / 4 + 1), rel=1e-5)
        assert found["workers"][0]["memory_mb"] == 100
        run.append({"kind": "stage_finished", "stage": "explore", "wall_seconds": 8.0})
        found = get(tmp_path, "/progress")
    assert (found["trials_per_second"], found["seconds_left"]) == (0.5, None)
    assert get(tmp_path, "/progress")["state"] == "interrupted"


# ---------------------------------------------------------------- space


def test_effects_are_those_of_the_trials_that_were_asked(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with noisy_run(tmp_path, []) as run:
        assert run.table().finished() == []
    rows = []
    with Run.open(tmp_path / "made", write=True) as run:
        for number in range(12):
            choices: dict[str, Any] = {"a": ["x", "y", "z"][number % 3]}
            if number % 2:
                choices["b"] = [["p"], ["q"], ["p", "q"]][number % 3]
            loss = float(rng.uniform(0.3, 0.6)) + (number % 3 == 1)
            rows.append((choices, loss))
            finish(run, number, loss, 1.0 + number / 10, **choices)
    found = {choice["name"]: choice for choice in get(tmp_path, "/space")["choices"]}
    first, second = found["a"], found["b"]
    assert first["options"][:3] == ["x", "y", "z"] and first["counts"][:3] == [4, 4, 4]
    taken = [loss for choices, loss in rows if choices["a"] == "y"]
    others = [loss for choices, loss in rows if choices["a"] != "y"]
    interval = stats.ttest_ind(taken, others, equal_var=False).confidence_interval(0.95)
    effect = first["effects"][1]
    assert effect["count"] == 4
    assert (effect["low"], effect["high"]) == pytest.approx(tuple(interval), rel=1e-4)
    assert first["importance"] > 0.8
    assert (second["kind"], sum(second["counts"])) == ("subset_of", 8)
    assert get(tmp_path, f"/space?objective={LATENCY}")["objective"] == LATENCY
    parallel = get(tmp_path, "/space")["parallel"]
    assert parallel["choices"] == ["a"] and len(parallel["rows"]) == 12
    assert parallel["rows"][4] == [1]


def test_the_space_counts_what_was_taken(tmp_path: Path) -> None:
    made_run(tmp_path, trials=9)
    found = get(tmp_path, "/space")
    assert "sampler chose" in found["caution"]
    with Run.open(tmp_path / "made") as run:
        decisions = [trial.decisions for trial in run.table().finished()]
    for choice in found["choices"]:
        answers = [each[choice["name"]] for each in decisions if choice["name"] in each]
        for option, count in zip(choice["options"], choice["counts"], strict=True):
            taken = [
                option in map(str, a) if isinstance(a, list) else option == str(a) for a in answers
            ]
            assert sum(taken) == count


# ---------------------------------------------------------------- comparisons


def test_runs_are_laid_over_one_another_with_what_they_attain(tmp_path: Path) -> None:
    noisy_run(tmp_path, [noisy_trial(0.5, 2.0), noisy_trial(0.9, 1.0)], name="a").close()
    noisy_run(tmp_path, [noisy_trial(0.6, 1.5)], name="b").close()
    found = document(tmp_path, "/api/compare?runs=a,b")
    assert types().problems("CompareDocument", found) == []
    assert found["why_not"] is None and found["same_data"]
    assert [point["trial"] for point in found["fronts"]["a"]] == [0, 1]
    assert found["attainment"]["best"] == [[0.5, 2.0], [0.6, 1.5], [0.9, 1.0]]
    assert found["attainment"]["worst"] == [[0.6, 2.0], [0.9, 1.5]]
    assert found["hypervolume"]["a"] > 0 and len(found["reference"]) == 2
    alone = document(tmp_path, "/api/compare?runs=a")
    assert alone["attainment"] is None and alone["objectives"]


def test_runs_without_two_common_objectives_are_not_compared(tmp_path: Path) -> None:
    noisy_run(tmp_path, [noisy_trial(0.5, 2.0)], name="a").close()
    with Run.create(tmp_path, "b", made_config(), ENVIRONMENT) as run:
        run.append({"kind": "stage_started", "stage": "prepare"})
        named = [{"name": name, "unit": "u", "source": "computed"} for name in ("macs", "depth")]
        done = {"kind": "stage_finished", "stage": "prepare", "objectives": named}
        run.append({**done, "constraints": []})
    found = document(tmp_path, "/api/compare?runs=a,b")
    assert found["objectives"] is None and "no two objectives" in found["why_not"]
    made_run(tmp_path, name="c")
    assert "no objective is known" in document(tmp_path, "/api/compare?runs=a,c")["why_not"]
