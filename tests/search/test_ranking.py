"""Ranking a run: every training kept, taken up again, spread over workers, shared between runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_store.forked import KILLED
from search_runs import killed_when

from nas.cli.main import run as type_in
from nas.errors import RunError
from nas.pareto import non_dominated
from nas.run_store import Run
from nas.search.driver import run_config, search
from nas.search.front_view import front_document
from nas.search.interrupts import Stopper
from nas.search.material import prepare_material
from nas.search.ranking.stage import (
    RankSettings,
    _Ranking,
    rank,
    rank_recipe,
    trained_weights,
)
from nas.search.ranking.taken_truths import take_truths
from nas.search.session import Session, Stopped
from nas.search.settings.goals import Goals
from nas.search.settings.resolve import resolve_config, resolve_space
from nas.supernet.trust.calibration import Calibration
from nas.supernet.trust.verdict import ACROSS, NOT_TRUSTED, WITHIN
from nas.training.device import resolve_device

CONFIG = {
    "space": "tiny_exhaustive",
    "data": "digits",
    "objectives": ["error", "macs"],
    "max_train_images": 300,
    "confirm": {"enabled": False},
    "executor": {"kind": "inline"},
    "search": {"trials": 12, "batch": 6},
    "supernet": {"relaxation": {"enabled": False}, "training": {"epochs": 1}},
}


def small_search(root: Path, name: str = "real", *overrides: str) -> Path:
    config = resolve_config(CONFIG, overrides=overrides, options={"preset": "smoke"})
    return search(config, runs=root, name=name).path


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_search(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def path(searched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(searched, tmp_path / "real"))


@pytest.fixture(scope="module")
def once(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was ranked; only to be copied."""
    path = Path(shutil.copytree(searched, tmp_path_factory.mktemp("ranked") / "real"))
    ranked(path)
    return path


@pytest.fixture
def ranked_run(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once, tmp_path / "real"))


def session(run: Run, **options: Any) -> Session:
    config = run_config(run)
    return Session(
        run=run,
        config=config,
        space=resolve_space(config),
        goals=Goals.of(config),
        material=prepare_material(config),
        device=resolve_device("cpu"),
        stopper=options.pop("stopper", Stopper()),
        **options,
    )


def settings(run: Run, members: int = 6) -> RankSettings:
    return RankSettings(members, 2, rank_recipe(run_config(run), 1))


def ranked(path: Path, members: int = 6, **options: Any) -> tuple[dict[str, Any], list[Any]]:
    """Rank a run; return the report and the records of the ranking."""
    with Run.open(path, write=True) as run:
        own = session(run, **options)
        try:
            report = rank(own, settings(run, members)).to_dict()
        finally:
            own.close()
        records = [r for r in run.records() if r["kind"].startswith("rank_")]
    return report, records


def truths(records: list[dict[str, Any]]) -> dict[tuple[str, int], float]:
    return {
        (record["member"], record["seed_index"]): record["cross_entropy"]
        for record in records
        if record["kind"] == "rank_truth"
    }


def test_a_ranking_goes_on_where_it_was_left_and_the_workers_change_nothing(
    ranked_run: Path, tmp_path: Path, searched: Path
) -> None:
    whole, records = ranked(ranked_run)
    assert len(truths(records)) == 12
    other = Path(shutil.copytree(searched, tmp_path / "other" / "real"))

    class AfterFive(Stopper):
        def __call__(self) -> bool:
            return len(truths(run.records())) >= 5

    with Run.open(other, write=True) as run:
        own = session(run, stopper=AfterFive())
        with pytest.raises(Stopped):
            rank(own, settings(run))
        own.close()
        left = truths(run.records())
    assert len(left) == 5
    again, after = ranked(other, workers=2, executor_kind="local")
    assert truths(after) == truths(records)
    assert list(truths(after))[:5] == list(left)  # none of them was trained a second time
    assert json.dumps(again) == json.dumps(whole)


def test_a_ranking_killed_with_9_goes_on_with_the_same_numbers(
    searched: Path, ranked_run: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(searched, tmp_path / "killed"))
    options = ("--architectures=6", "--epochs=1", "--executor=inline")

    def rank_here() -> None:
        type_in(["supernet", "rank", str(path), *options])

    with Run.open(path) as run:
        assert killed_when(lambda: len(truths(run.records())) >= 4, rank_here) == KILLED
        left = truths(run.records())
    assert 4 <= len(left) < 12
    again, records = ranked(path)
    assert list(truths(records))[: len(left)] == list(left)
    assert again == ranked(ranked_run)[0]


def test_a_new_supernet_is_judged_by_the_truths_that_are_there(ranked_run: Path) -> None:
    path = ranked_run
    first, records = ranked(path)
    with Run.open(path, write=True) as run:
        arrays = run.weights.get(trained_weights(run))
        moved = run.weights.put(
            {
                name: 1.01 * value if value.dtype.kind == "f" else value
                for name, value in arrays.items()
            }
        )
        run.append({"kind": "stage_finished", "stage": "supernet", "checkpoint": moved})
    with Run.open(path) as run:
        assert front_document(run)["trust"]["verdict"] == "unverified"
    second, after = ranked(path)
    assert truths(after) == truths(records)
    assert sum(record["kind"] == "rank_scores" for record in after) == 12
    same = [member["cross_entropies"] for member in first["members"]]
    assert [member["cross_entropies"] for member in second["members"]] == same


def test_truths_of_another_run_of_the_same_data_are_taken(ranked_run: Path, tmp_path: Path) -> None:
    path = ranked_run
    _, records = ranked(path)
    sharing = small_search(tmp_path, "family", "supernet.sharing=family")
    with Run.open(sharing, write=True) as run, Run.open(path) as other:
        assert take_truths(run, other, settings(run)) == 12
        assert take_truths(run, other, settings(run)) == 0
    _, after = ranked(sharing)
    assert truths(after) == truths(records)
    assert {record.get("taken_from") for record in after if record["kind"] == "rank_truth"} == {
        "real"
    }


def test_truths_that_are_not_comparable_are_refused(ranked_run: Path, tmp_path: Path) -> None:
    path = ranked_run
    seeded = small_search(tmp_path, "seeded", "seed=7")
    with Run.open(path) as other, Run.open(seeded, write=True) as run:
        with pytest.raises(RunError, match=r"its seed is 0, not 7"):
            take_truths(run, other, settings(run))
        longer = RankSettings(6, 2, rank_recipe(run_config(other), 9))
        with pytest.raises(RunError, match=r"has no truths of the recipe[\s\S]*It has those of"):
            take_truths(other, other, longer)


def test_a_training_that_fails_costs_its_member(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.errors import TrialError
    from nas.search.ranking import tasks as rank_tasks

    begin = rank_tasks.begin_alone
    calls: list[int] = []

    def diverge(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise TrialError("It diverged.", kind="nonfinite")
        return begin(*arguments, **options)

    monkeypatch.setattr(rank_tasks, "begin_alone", diverge)
    report, records = ranked(path)
    assert len(report["members"]) == 5
    assert [r["reason"] for r in records if r["kind"] == "rank_truth_failed"] == ["nonfinite"]
    _, after = ranked(path)
    assert after == records  # the same seed would diverge again


def test_trainings_take_turns_over_the_families(path: Path) -> None:
    with Run.open(path, write=True) as run:
        own = session(run)
        order = _Ranking(own, settings(run, 12))._spread()
        families = [own.space.family(decisions) for _, decisions in order]
    assert len(set(families[:6])) == len(set(families[6:])) == 6


def test_where_no_member_can_be_scored_the_reason_is_told(ranked_run: Path) -> None:
    with Run.open(ranked_run, write=True) as run:
        empty = run.weights.put({"nothing": np.zeros(1)})
        run.append({"kind": "stage_finished", "stage": "supernet", "checkpoint": empty})
        own = session(run)
        with pytest.raises(RunError, match="No member could be scored"):
            rank(own, settings(run))


def judged(path: Path, verdict: str, calibration: Calibration | None) -> dict[str, Any]:
    """Return the front of a run after a verdict that was made up."""
    with Run.open(path, write=True) as run:
        run.append(
            {
                "kind": "verdict",
                "about": "ranking",
                "supernet": trained_weights(run),
                "verdict": verdict,
                "why": "made up",
                "calibration": calibration.to_dict() if calibration else None,
            }
        )
        return front_document(run)


def dominated(point: dict[str, Any], others: list[dict[str, Any]], names: tuple[str, str]) -> bool:
    def values(entry: dict[str, Any]) -> tuple[float, float]:
        return tuple(_value(entry, name) for name in names)  # type: ignore[return-value]

    return any(
        all(a <= b for a, b in zip(values(other), values(point), strict=True))
        and values(other) != values(point)
        for other in others
    )


def _value(entry: dict[str, Any], name: str) -> float:
    found = entry[name] if name in entry else entry["objectives"][name]["value"]
    return float(found)


def test_without_a_verdict_the_front_is_unverified(path: Path) -> None:
    with Run.open(path) as run:
        trust = front_document(run)["trust"]
    assert trust["verdict"] == "unverified"


@pytest.mark.fault("E3")
def test_weights_behind_a_divergence_are_not_trusted_until_they_are_measured(path: Path) -> None:
    with Run.open(path, write=True) as run:
        weights = trained_weights(run)
        facts = {"checkpoint": weights, "trustworthy": False, "diagnoses": ["the loss was nan"]}
        run.append({"kind": "stage_finished", "stage": "supernet", **facts})
        trust = front_document(run)["trust"]
    assert trust["verdict"] == NOT_TRUSTED and "diverged (1 times)" in trust["why"]
    assert trust["front"] == "raw scores, each family by itself"
    assert judged(path, WITHIN, None)["trust"]["verdict"] == WITHIN


@pytest.mark.parametrize("verdict", [None, WITHIN, NOT_TRUSTED])
def test_without_trust_across_families_no_point_leaves_the_front_for_another_family(
    path: Path, verdict: str | None
) -> None:
    with Run.open(path) as run:
        trials = run.table().finished()
        document = front_document(run)
    if verdict is not None:
        document = judged(path, verdict, None)
    assert document["trust"]["front"] == "raw scores, each family by itself"
    points = document["points"]
    assert {point["family"] for point in points} == {trial.extra["family"] for trial in trials}
    values = np.array([[trial.value("error"), trial.value("macs")] for trial in trials])
    mixed = {
        trial.number for trial, stays in zip(trials, non_dominated(values), strict=True) if stays
    }
    assert mixed < {point["trial"] for point in points}
    for point in points:
        same = [other for other in points if other["family"] == point["family"]]
        assert not dominated(point, same, ("error", "macs"))
    errors = [_value(point, "error") for point in points]
    assert errors == sorted(errors)


def test_trusted_across_families_the_front_compares_calibrated_scores(path: Path) -> None:
    with Run.open(path) as run:
        trials = run.table().finished()
    families = sorted({trial.extra["family"] for trial in trials})
    offsets = {family: 0.3 * place for place, family in enumerate(families[:-1])}
    calibration = Calibration("inherited + family", 0.1, {"inherited": 0.5}, offsets)
    document = judged(path, ACROSS, calibration)
    assert document["trust"]["front"] == "calibrated scores, all families together"
    without = [trial for trial in trials if trial.extra["family"] == families[-1]]
    assert document["trust"]["left_out"] == len(without) > 0
    own = {
        trial.number: 0.1
        + 0.5 * trial.extra["inherited"]["cross_entropy"]
        + offsets[trial.extra["family"]]
        for trial in trials
        if trial.extra["family"] in offsets
    }
    expected = {
        number
        for number, value in own.items()
        if not any(
            own[other] <= value
            and macs[other] <= macs[number]
            and (own[other], macs[other]) != (value, macs[number])
            for macs in [{trial.number: trial.value("macs") for trial in trials}]
            for other in own
        )
    }
    shown = {point["trial"]: point["cross_entropy_calibrated"] for point in document["points"]}
    assert set(shown) <= expected and set(shown)
    assert all(value == pytest.approx(own[number]) for number, value in shown.items())


def test_a_calibrated_front_can_be_asked_for_and_needs_a_calibration(path: Path) -> None:
    calibration = Calibration("macs", 0.0, {"macs": -1.0}, {"mixed": 0.0})
    judged(path, NOT_TRUSTED, calibration)
    with Run.open(path) as run:
        assert front_document(run)["trust"]["front"].startswith("raw scores, each family")
        asked = front_document(run, calibrated=True)
        assert asked["trust"]["front"].startswith("calibrated")
        assert {point["family"] for point in asked["points"]} <= {"mixed"}
    judged(path, NOT_TRUSTED, None)
    with Run.open(path) as run, pytest.raises(RunError, match="no calibration of its scores"):
        front_document(run, calibrated=True)


def test_a_run_without_supernet_is_refused(tmp_path: Path) -> None:
    computed = small_search(tmp_path, "counted", "objectives=[parameters, macs]")
    with Run.open(computed) as run:
        with pytest.raises(RunError, match="'counted' has no trained supernet"):
            trained_weights(run)
        trust = front_document(run)["trust"]
    assert trust == {
        "verdict": "not needed", "why": None, "front": "no inherited scores", "left_out": 0,
    }  # fmt: skip
