"""Whole searches through the confirm protocol: shuffled labels, kills, executors, failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_store.forked import KILLED
from scale import CHECKOUT, is_full_scale
from search_runs import killed_when

from nas.errors import TrialError
from nas.run_store import Run
from nas.search.confirm.view import confirmation
from nas.search.driver import resume, search
from nas.search.front_view import front_document
from nas.search.settings.config import SearchConfig
from nas.search.settings.resolve import resolve_config
from nas.statistics import share

FOLDER = CHECKOUT / "examples" / "shuffled_labels"
SHUFFLED = f"{FOLDER / 'digits.py'}:load"


def config(*overrides: str, data: str = SHUFFLED) -> SearchConfig:
    """Return the search of the example, in this process, with fewer epochs."""
    return resolve_config(
        FOLDER / "search.yaml",
        options={"data": data, "confirm.seeds_b": 5, "executor.kind": "inline"},
        overrides=["confirm.recipe.epochs=1", *overrides],
    )


def confirmed(run: Run) -> dict[str, Any]:
    found = confirmation(run)
    assert found is not None
    assert found["state"] == "finished"
    return found


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return search(config(), runs=tmp_path_factory.mktemp("straight"), name="one")


def test_a_search_on_shuffled_labels_finds_nothing(straight: Run, tmp_path: Path) -> None:
    first = confirmed(straight)
    assert first["bins"]
    assert {each["outcome"] for each in first["bins"]} == {"none found"}
    if not is_full_scale():
        return
    claims = 0
    for seed in range(1, 20):
        settings = config(f"seed={seed}", "confirm.recipe.epochs=4", "confirm.seeds_b=8")
        found = confirmed(search(settings, runs=tmp_path, name=f"null-{seed}"))
        claims += "gain" in {each["outcome"] for each in found["bins"]}
    assert share(claims, 19).low <= 0.05


def test_enough_seeds_give_every_bin_a_verdict(straight: Run) -> None:
    found = confirmed(straight)
    assert found["look"] == 1
    for entry in found["bins"]:
        assert entry["outcome"] in ("gain", "none found")
        assert 0 <= entry["p_value"] <= entry["p_holm"] <= 1
        assert [each["pairs"] for each in entry["comparisons"]] == [5] * len(entry["comparisons"])
    document = front_document(straight)
    assert document["confirmation"] == json.loads(json.dumps(found))


def kill_when(path: Path, executor: str, kind: str, count: int) -> None:
    """Search or go on until the log has so many records of a kind, then end without a word."""

    def drive() -> None:
        if path.exists():
            resume(path, executor=executor, workers=1)
        else:
            search(config(), runs=path.parent, name=path.name, executor=executor, workers=1)

    log = path / "trials.log"
    assert (
        killed_when(lambda: log.exists() and log.read_text().count(f'"{kind}"') >= count, drive)
        == KILLED
    )


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    for each in found["entrants"]:
        each["cost_device_s"] = None
    for entry in found["bins"]:
        for each in (entry["candidate"], *(other["rival"] for other in entry["comparisons"])):
            each["cost_device_s"] = None
    return found


def test_kills_and_other_executors_confirm_the_same(straight: Run, tmp_path: Path) -> None:
    path = tmp_path / "killed"
    kill_when(path, "local", "confirm_validated", 2)
    kill_when(path, "inline", "confirm_finished", 3)
    again = resume(path, executor="ray" if is_full_scale() else "inline", workers=2)
    assert without_times(confirmed(again)) == without_times(confirmed(straight))
    records = again.records()
    assert sum(record["kind"] == "confirm_planned" for record in records) == 1
    assert sum(record["kind"] == "confirm_judged" for record in records) == 1
    for kind in ("confirm_validated", "confirm_finished"):
        keys = [
            (r["candidate"], r["recipe_hash"], r["seed_index"])
            for r in records
            if r["kind"] == kind
        ]
        assert len(keys) == len(set(keys)), "nothing is trained, or tested, twice"


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trainings that leave networks as they are; the sixth one fails."""
    import nas.training.fit as fitting

    calls: list[str] = []

    def no_run(training: fitting.Training, *_: Any) -> fitting.FitResult:
        calls.append(training.recipe.recipe_hash)
        if len(calls) == 6:
            raise TrialError("The training loss is nan.", kind="nonfinite")
        training.module.eval()
        return fitting.FitResult(1, 1, (1.0,), 0.0, False, training.recipe.recipe_hash)

    monkeypatch.setattr(fitting.Training, "run", no_run)
    return calls


def test_a_training_that_fails_leaves_pairs_and_is_told(
    tmp_path: Path, untrained: list[str]
) -> None:
    settings = config("objectives=[macs]", "search.trials=3", "confirm.seeds_b=5")
    found = confirmed(search(settings, runs=tmp_path, name="failing"))
    failed = [each for each in found["entrants"] if each["test_failures"]]
    assert [each["test_failures"] for each in failed] == [["nonfinite"]]
    (entry,) = found["bins"]
    assert entry["outcome"] == "no claim"
    assert entry["why"] == "no claim: 4 seeds, a claim takes 5"
    assert len(untrained) == 3 + 3 * 5, "what failed is not tried again"


def test_data_that_a_published_network_cannot_read_leave_it_out_in_sight(
    tmp_path: Path, untrained: list[str]
) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    tiny = {
        "x_train": rng.random((300, 1, 1)),
        "y_train": np.arange(300) % 2,
        "x_test": rng.random((60, 1, 1)),
        "y_test": np.arange(60) % 2,
    }
    np.savez(tmp_path / "tiny.npz", **tiny)
    settings = config(
        "objectives=[macs]", "confirm.rivals=[published]", data=str(tmp_path / "tiny.npz")
    )
    found = confirmed(search(settings, runs=tmp_path / "runs", name="tiny"))
    reasons = {each["name"]: each["reason"] for each in found["left_out"]}
    assert "lowers the resolution" in reasons["published fractalnet"]
