"""One real search with weights, relaxation, latency and confirmation, as small as it can be."""

from __future__ import annotations

import csv
import io
import json
import statistics
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from search_runs import asked_and_closed

from nas.errors import InterruptedRunError, NotFoundError, TrialError
from nas.run_store import Run, rebuild_views
from nas.search.api import SearchRun
from nas.search.confirm.arms import published
from nas.search.confirm.view import confirmation, confirmed_errors
from nas.search.driver import resume, search
from nas.search.front_view import front_document
from nas.search.material import prepare_material
from nas.search.measuring.quiet import QuietDevice
from nas.search.settings.config import SearchConfig
from nas.search.settings.resolve import resolve_config
from nas.search.training import learning
from nas.topology.serial import load_architecture
from nas.training.baselines import simple_baselines

POINT_FIELDS = {
    "trial",
    "architecture",
    "wiring",
    "objectives",
    "error_inherited",
    "error_confirmed_mean",
    "error_confirmed_std",
    "parameters",
    "macs",
    "latency_ms",
    "latency_iqr_ms",
}


def real_config(*overrides: str) -> SearchConfig:
    return resolve_config(
        {
            "space": "tiny_exhaustive",
            "preset": "smoke",
            "max_train_images": 600,
            "objectives": ["error", "macs"],
            "constraints": {"latency": {"max": 1000.0}},
            "supernet": {
                "training": {"epochs": 3, "checkpoint_every_s": 0},
                "relaxation": {"epochs": 2, "gate_warmup_epochs": 1.0, "proposals": 2},
            },
            "search": {"trials": 12, "batch": 6},
            "latency": {
                "max_seconds": 0.01,
                "pairs": 10,
                "minimum_pairs": 4,
                "wait_s": 0,
                "retries": 0,
            },
            "confirm": {
                "shortlist": 1,
                "recipe": {"epochs": 1},
                "recipes": {"rate_factors": [0.5, 1.0, 2.0]},
                "test_images": 50,
                "baselines": {"hand_made": 1, "random": 1},
            },
            "executor": {"kind": "inline"},
        },
        overrides=overrides,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return search(real_config(), runs=tmp_path_factory.mktemp("real"), name="real")


@pytest.fixture(scope="module")
def document(run: Run) -> dict[str, Any]:
    return front_document(run)


FEW = ("confirm.baselines={hand_made: 1, random: 1}", "confirm.rivals=[random_members]")


TRAINING = ["relax", "supernet", "confirm seeds A", "confirm seeds B", "confirm recipes"]


def kinds(run: Run, kind: str) -> list[dict[str, Any]]:
    return [record for record in run.records() if record["kind"] == kind]


def test_the_stages_follow_one_another_and_close(run: Run) -> None:
    names = [record["stage"] for record in kinds(run, "stage_finished")]
    assert names == ["prepare", "relax", "supernet", "explore", "confirm", "report"]
    assert run.state() == "finished"
    assert {p["proposed_by"] for p in kinds(run, "trial_asked")} >= {"relaxation", "nsga2"}


def test_points_have_the_fields_that_are_promised(document: dict[str, Any]) -> None:
    assert document["schema"] == "nas.front/1"
    assert document["stamp"] == "smoke, not evidence"
    assert document["points"]
    for point in document["points"]:
        assert set(point) >= POINT_FIELDS
        assert set(point["objectives"]) == {"error", "macs"}
        error = point["objectives"]["error"]
        assert (error["value"], error["source"]) == (point["error_inherited"], "inherited")
        assert point["objectives"]["macs"]["source"] == "computed"
        assert point["latency_ms"] > 0
        assert point["latency_iqr_ms"] >= 0
    assert {entry["pattern"] for entry in document["best_per_pattern"]} >= {"chain", "dense"}
    json.dumps(document, allow_nan=False)


def test_one_plan_comes_before_every_training(run: Run) -> None:
    order = [record["kind"] for record in run.records()]
    (plan,) = kinds(run, "confirm_planned")
    trained = [order.index(kind) for kind in ("confirm_validated", "confirm_finished")]
    assert order.index("confirm_planned") < min(trained)
    assert plan["cost"].startswith("latency_ms")
    assert plan["distillation"] is False
    assert plan["data"] == prepare_material(real_config()).data.fingerprint
    assert [each["arm"] for each in plan["candidates"]] == sorted(
        (each["arm"] for each in plan["candidates"]),
        key=["front", "space_wirings", "published", "random_members"].index,
    )


def test_seeds_a_rank_on_validation_and_seeds_b_judge_on_test(run: Run) -> None:
    chosen = kinds(run, "confirm_validated")
    tested = kinds(run, "confirm_finished")
    seeds_a = {r["seed"] for r in chosen}
    seeds_b = {r["seed"] for r in tested}
    assert not seeds_a & seeds_b
    assert (len(seeds_a), len(seeds_b)) == (1, 2)
    assert not any("test_error" in record for record in chosen)
    assert not any("validation_error" in record for record in tested)
    assert len({record["recipe_hash"] for record in tested}) == 1
    named = run.table().stages["confirm"].finish["named"]
    tests = sorted((r["candidate"], r["seed_index"]) for r in tested)
    assert tests == sorted((key, index) for key in named for index in range(2))
    (plan,) = kinds(run, "confirm_planned")
    ranked = {r["candidate"] for r in chosen if r["purpose"] == "seeds A"}
    assert ranked == {each["key"] for each in plan["candidates"]}
    for record in (*chosen, *tested):
        assert record["data"] == plan["data"]
        assert record["distillation"] is False


def test_the_named_are_those_that_validation_prefers(run: Run) -> None:
    found = confirmation(run)
    assert found is not None
    assert found["state"] == "finished"
    assert found["bins"]
    for bin_ in found["bins"]:
        here = [e for e in found["entrants"] if e["bin"] == bin_["bin"]]
        candidates = [e["validation"]["mean"] for e in here if e["kind"] == "searched"]
        assert bin_["candidate"]["validation"]["mean"] == min(candidates)
        for comparison in bin_["comparisons"]:
            rivals = [
                entrant["validation"]["mean"]
                for entrant in found["entrants"]
                if entrant["kind"] == comparison["kind"] and entrant["bin"] <= bin_["bin"]
            ]
            assert comparison["rival"]["validation"]["mean"] == min(rivals)


def test_two_seeds_claim_nothing_and_say_so(run: Run) -> None:
    found = confirmation(run)
    assert found is not None
    # Latencies are measured here, so a cheap bin may have no rival in reach; the last one has.
    assert found["bins"][-1]["comparisons"]
    for bin_ in found["bins"]:
        assert (bin_["outcome"], bin_["p_holm"]) == ("no claim", None)
        few = "2 seeds, a claim takes 5" if bin_["comparisons"] else "it has no rival"
        assert bin_["why"] == f"no claim: {few}"
        for comparison in bin_["comparisons"]:
            difference = comparison["difference"]
            own, other = bin_["candidate"]["test"]["mean"], comparison["rival"]["test"]["mean"]
            assert difference["mean"] == pytest.approx(own - other)
            assert difference["low"] < difference["mean"] < difference["high"]


def test_named_networks_are_ranked_again_under_other_recipes(run: Run) -> None:
    found = confirmation(run)
    assert found is not None
    stability = found["recipes"]
    rates = sorted(each["learning_rate"] for each in stability["recipes"])
    assert rates == pytest.approx([0.025, 0.05, 0.1])
    assert stability["recipes"][0]["recipe_hash"] == found["recipe_hash"]
    assert 0 <= stability["kendall_w"] <= 1
    named = run.table().stages["confirm"].finish["named"]
    for each in stability["recipes"]:
        assert set(each["errors"]) == set(named)
        assert None not in each["errors"].values()
    assert stability["bins"][-1]["rivals"]
    for each in stability["bins"]:
        assert 0 <= each["first"] <= each["of"] == (3 if each["rivals"] else 0)
    # The first recipe is that of seeds A: its trainings are there already.
    again = [r for r in kinds(run, "confirm_validated") if r["purpose"] == "recipes"]
    assert len(again) == 2 * len(named)


def test_selection_and_confirmation_stand_apart(run: Run, document: dict[str, Any]) -> None:
    named = set(run.table().stages["confirm"].finish["named"])
    for point in document["points"]:
        tested = f"trial-{point['trial']}" in named
        assert (point["error_confirmed_mean"] is not None) == tested
    figures = confirmed_errors(run)
    for key, each in figures.items():
        assert each["validation_seeds"] == 1
        assert each["confirmed_seeds"] == (2 if key in named else 0)
    names = [baseline["name"] for baseline in document["baselines"]]
    assert {"residual", "random-0", "published resnet-cifar", "published densenet-cifar"} <= set(
        names
    )
    assert {baseline["kind"] for baseline in document["baselines"]} == {"hand_made", "random"}
    for entry in document["baselines"]:
        assert entry["macs"] > 0
        assert entry["latency_ms"] > 0
    assert [each["name"] for each in document["simple_baselines"]] == ["1-nearest-neighbour", "svc"]


def test_published_baselines_are_of_the_size_of_the_front(document: dict[str, Any]) -> None:
    macs = sorted(point["macs"] for point in document["points"])
    for baseline in document["baselines"]:
        if baseline["name"].startswith("published"):
            assert macs[0] / 4 <= baseline["macs"] <= macs[-1] * 4


def test_the_simple_classifiers_see_the_test_images_of_the_networks(
    run: Run, document: dict[str, Any]
) -> None:
    tested = {record["test_images"] for record in kinds(run, "confirm_finished")}
    assert {each["count_test"] for each in document["simple_baselines"]} == tested
    material = prepare_material(real_config())
    assert len(material.test_part(None)) == len(material.data.y_test)
    assert len(material.test_part(3)) == material.data.num_classes
    part = material.test_part(50)
    assert tested == {len(part)}
    svc = simple_baselines(material.data, test=part)[1]
    assert svc.accuracy == document["simple_baselines"][1]["accuracy"]


def test_more_trials_bring_published_networks_of_the_new_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = real_config(
        "objectives=[macs]",
        "constraints={}",
        "search.trials=3",
        "confirm.recipes.rate_factors=[1]",
    )
    first = search(small, runs=tmp_path, name="grown")
    before = {each["name"]: each for each in front_document(first)["baselines"]}
    monkeypatch.setattr(published, "median", lambda values: 4 * statistics.median(values))
    again = resume(first.path, extra_trials=1)
    after = {each["name"]: each for each in front_document(again)["baselines"]}
    assert list(after) == list(before)
    assert len(front_document(again)["baselines"]) == len(after)  # the old ones are gone
    assert after["published resnet-cifar"]["macs"] > 2 * before["published resnet-cifar"]["macs"]
    trained = [(r["candidate"], r["seed_index"]) for r in kinds(again, "confirm_validated")]
    assert len(set(trained)) == len(trained)
    tested = [(r["candidate"], r["seed_index"]) for r in kinds(again, "confirm_finished")]
    assert len(set(tested)) == len(tested)
    resnets = {key for key, _ in trained if key.startswith("published-resnet-cifar-")}
    assert {key[-8:] for key in resnets} == {
        each["published resnet-cifar"]["architecture"][-8:] for each in (before, after)
    }
    for name in ("residual", "random-0"):
        assert after[name] == before[name]
    assert [record["look"] for record in kinds(again, "confirm_judged")] == [1, 2]
    assert json.loads(again.read_view("front.json") or b"") == front_document(again)


def test_views_are_functions_of_the_log(run: Run) -> None:
    names = ["front.csv", "front.json", "trials.parquet"]
    before = {name: run.read_view(name) for name in names}
    assert json.loads(before["front.json"] or b"") == front_document(run)
    rows = list(csv.DictReader(io.StringIO((before["front.csv"] or b"").decode())))
    assert len(rows) == len(front_document(run)["points"])
    assert "error (fraction)" in rows[0]
    path = run.path
    for name in names:
        (path / name).unlink()
    with Run.open(path, write=True) as owned:
        rebuild_views(owned)
        assert {name: owned.read_view(name) for name in names} == before


def test_trials_are_a_table_for_pandas(run: Run) -> None:
    import pandas as pd

    table = pd.read_parquet(run.path / "trials.parquet")
    assert len(table) == 12
    assert set(table["state"]) == {"finished"}
    assert table["error"].between(0, 1).all()


def test_every_trial_keeps_its_architecture_and_score(run: Run) -> None:
    for trial in run.table().finished():
        architecture = load_architecture(trial.architecture)
        assert "-".join(architecture.wiring) == trial.extra["wiring"]
        kept = run.path / "architectures" / f"{trial.extra['architecture_id']}.json"
        assert load_architecture(kept.read_text()) == architecture
        assert trial.extra["inherited"]["error"] == trial.value("error")


def test_a_finished_run_has_nothing_left_to_do(run: Run) -> None:
    before = len(run.records())
    again = resume(run.path)
    assert {record["kind"] for record in again.records()[before:]} <= {
        "run_resumed",
        "run_finished",
        "stage_started",
        "stage_finished",
    }


def test_trainings_left_off_anywhere_end_with_the_same_weights(run: Run, tmp_path: Path) -> None:
    import signal

    stopped: list[str] = []

    def listener(progress: Any) -> None:
        training = progress.stage in TRAINING and progress.done
        if training and progress.stage not in stopped:
            stopped.append(progress.stage)
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(InterruptedRunError, match="SIGTERM"):
        search(real_config(*FEW), runs=tmp_path, name="again", listener=listener)
    for _ in TRAINING[1:]:
        with pytest.raises(InterruptedRunError, match="SIGTERM"):
            resume(tmp_path / "again", listener=listener)
    assert stopped == TRAINING
    again = resume(tmp_path / "again")
    for stage in ("relax", "supernet"):
        assert again.table().stages[stage].checkpoint == run.table().stages[stage].checkpoint
    assert [trial.value("error") for trial in again.table().finished()] == [
        trial.value("error") for trial in run.table().finished()
    ]
    assert asked_and_closed(again)[1] == list(range(12))

    def scores(of: Run) -> dict[tuple[str, str, int], float]:
        found = kinds(of, "confirm_validated")
        return {
            (r["candidate"], r["recipe_hash"], r["seed_index"]): r["validation_error"]
            for r in found
        }

    both = set(scores(again)) & set(scores(run))
    assert {key: scores(again)[key] for key in both} == {key: scores(run)[key] for key in both}


def test_a_lost_checkpoint_costs_time_and_nothing_else(run: Run, tmp_path: Path) -> None:
    config = real_config("search.trials=3", "confirm.enabled=false")
    real = learning._Keeper.state
    learning._Keeper.state = lambda self: None  # type: ignore[method-assign]
    try:
        again = search(config, runs=tmp_path, name="lost")
    finally:
        learning._Keeper.state = real  # type: ignore[method-assign]
    stage = again.table().stages["supernet"]
    assert stage.checkpoint == run.table().stages["supernet"].checkpoint


def test_the_time_of_the_reference_is_taken_over_on_the_same_device_only(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.objectives import device_fingerprint as home

    settings = real_config().latency
    (name, first) = next(iter(run.table().finished()[0].extra["measurements"].items()))
    assert name.startswith("latency_ms")
    session = SimpleNamespace(run=run, config=real_config())
    device = QuietDevice(session)  # type: ignore[arg-type]
    assert device._meters.references.known(settings, "cpu") == first["reference_ms"] > 0
    real = home.device_fingerprint
    monkeypatch.setattr(
        home, "device_fingerprint", lambda *given: replace(real(*given), processor="other")
    )
    assert device._meters.references.known(settings, "cpu") is None


def test_only_weights_that_are_needed_stay_in_the_folder(run: Run) -> None:
    checkpoints = {stage.checkpoint for stage in run.table().stages.values() if stage.checkpoint}
    judged = [each for each in kinds(run, "confirm_finished") if "weights" in each]
    assert judged
    assert all(each["role"] == "searched" and each["seed_index"] == 0 for each in judged)
    assert set(run.weights.names()) == checkpoints | {each["weights"] for each in judged}


def test_without_confirmation_and_weights_a_search_trains_nothing(tmp_path: Path) -> None:
    found = search(
        real_config("objectives=[macs, parameters]", "constraints={}", "confirm.enabled=false"),
        runs=tmp_path,
        name="costs",
    )
    names = [record["stage"] for record in kinds(found, "stage_finished")]
    assert names == ["prepare", "explore", "report"]
    assert found.weights.names() == []


def test_the_python_api_reads_a_run(run: Run) -> None:
    opened = SearchRun.open(run.path)
    assert opened.front_points() == front_document(run)["points"]
    assert opened.best() == opened.front_points()[0]
    assert opened.best(max_latency_ms=1000)["latency_ms"] <= 1000
    with pytest.raises(NotFoundError, match="No point of the front of run 'real' has latency_ms"):
        opened.best(max_latency_ms=1e-9)
    assert opened.architecture(0).nodes
    with pytest.raises(NotFoundError, match="has no trial 99"):
        opened.architecture(99)
    assert len(opened.front()) == len(opened.front_points())
    assert opened.baselines()
    assert "finished" in repr(opened)


def test_the_package_is_the_verb_of_the_api(tmp_path: Path) -> None:
    import nas.search as verb

    config = real_config("objectives=[macs]", "constraints={}", "confirm.enabled=false")
    found = verb(config, trials=3, runs=tmp_path, name="verb")  # type: ignore[operator]
    assert found.state == "finished"
    assert len(found.front()) >= 1


def test_a_failed_training_is_recorded_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nas.training.fit as fitting

    real = fitting.Training.run
    calls = []

    def sometimes(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise TrialError("The training loss is nan.", kind="nonfinite")
        return real(*arguments, **options)

    monkeypatch.setattr(fitting.Training, "run", sometimes)
    found = search(
        real_config("search.trials=3", "objectives=[macs]", "constraints={}", *FEW),
        runs=tmp_path,
        name="failing",
    )
    (failed,) = kinds(found, "confirm_validation_failed")
    assert (failed["reason"], failed["message"]) == ("nonfinite", "The training loss is nan.")
    assert found.state() == "finished"
