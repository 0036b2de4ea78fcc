"""Whole searches through the confirm protocol: shuffled labels, kills, executors, failures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scale import CHECKOUT, is_full_scale, scaled
from search_runs import start

from nas.errors import TrialError
from nas.run_store import Run
from nas.search.config import SearchConfig
from nas.search.confirm.view import confirmation
from nas.search.driver import resume, search
from nas.search.front_view import front_document
from nas.search.resolve import resolve_config
from nas.statistics import share

SHUFFLED = str(CHECKOUT / "examples" / "shuffled_labels" / "digits.py") + ":load"


def config(*overrides: str, data: str = "digits", seeds_b: int = 5) -> SearchConfig:
    return resolve_config(
        {
            "space": "tiny_exhaustive",
            "preset": "smoke",
            "data": data,
            "objectives": ["error", "macs"],
            "max_train_images": 400,
            "supernet": {"training": {"epochs": 1}, "relaxation": {"enabled": False}},
            "search": {"trials": 6, "batch": 6},
            "confirm": {
                "seeds_b": seeds_b,
                "shortlist": 1,
                "recipe": {"epochs": 1},
                "rivals": ["space_wirings", "random_members"],
                "baselines": {"hand_made": 1, "random": 1},
            },
            "executor": {"kind": "inline"},
        },
        overrides=overrides,
    )


def confirmed(run: Run) -> dict[str, Any]:
    found = confirmation(run)
    assert found is not None
    assert found["state"] == "finished"
    return found


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return search(config(), runs=tmp_path_factory.mktemp("straight"), name="one")


def test_a_search_on_shuffled_labels_finds_nothing(tmp_path: Path) -> None:
    outcomes = []
    for seed in range(scaled(10) if is_full_scale() else 1):
        settings = config(f"seed={seed}", "confirm.recipe.epochs=2", data=SHUFFLED, seeds_b=6)
        found = confirmed(search(settings, runs=tmp_path, name=f"null-{seed}"))
        assert len(found["bins"]) >= 1
        assert {each["outcome"] for each in found["bins"]} <= {"gain", "none found"}
        outcomes.append("gain" in {each["outcome"] for each in found["bins"]})
    assert not outcomes[0]
    assert share(sum(outcomes), len(outcomes)).low <= 0.05


def test_enough_seeds_give_every_bin_a_verdict(straight: Run) -> None:
    found = confirmed(straight)
    assert found["look"] == 1
    for entry in found["bins"]:
        assert entry["outcome"] in ("gain", "none found")
        assert 0 <= entry["p_value"] <= entry["p_holm"] <= 1
        assert [each["pairs"] for each in entry["comparisons"]] == [5] * len(entry["comparisons"])
    document = front_document(straight)
    assert document["confirmation"] == json.loads(json.dumps(found))


KILLED = """
import sys
from pathlib import Path
from nas.search.config import SearchConfig
from nas.search.driver import resume, search
import json
name, executor, settings = sys.argv[1:]
if Path(name).exists():
    resume(name, executor=executor, workers=1)
else:
    path = Path(name)
    config = SearchConfig.model_validate(json.loads(settings))
    search(config, runs=path.parent, name=path.name, executor=executor, workers=1)
"""


def kill_when(path: Path, settings: str, executor: str, reached: Callable[[str], bool]) -> None:
    """Run until the log says so, then end the process without a word."""
    process = start(KILLED, path, executor, settings)
    log = path / "trials.log"
    deadline = time.monotonic() + 120
    try:
        while time.monotonic() < deadline and process.poll() is None:
            if log.exists() and reached(log.read_text()):
                break
            time.sleep(0.01)
        else:
            raise AssertionError(f"it ended before: {process.communicate()[1]}")
    finally:
        process.kill()
        process.communicate()


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    for each in found["entrants"]:
        each["cost_device_s"] = None
    for entry in found["bins"]:
        for each in (entry["candidate"], *(other["rival"] for other in entry["comparisons"])):
            each["cost_device_s"] = None
    return found


def test_kills_and_other_executors_confirm_the_same(straight: Run, tmp_path: Path) -> None:
    path, settings = tmp_path / "killed", json.dumps(config().to_dict())
    kill_when(path, settings, "inline", lambda log: log.count('"confirm_validated"') >= 2)
    kill_when(path, settings, "inline", lambda log: log.count('"confirm_finished"') >= 3)
    again = resume(path, executor="ray" if is_full_scale() else "local", workers=2)
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


def test_a_network_that_fails_to_train_leaves_pairs_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nas.training.fit as fitting

    real, calls = fitting.fit, []

    def sometimes(*arguments: Any, **options: Any) -> Any:
        calls.append(options["seed"])
        if len(calls) == 5 + 1:  # after the ranking of 5 networks at the most: a test training
            raise TrialError("The training loss is nan.", kind="nonfinite")
        return real(*arguments, **options)

    monkeypatch.setattr(fitting, "fit", sometimes)
    settings = config("objectives=[macs]", "search.trials=3")
    found = confirmed(search(settings, runs=tmp_path, name="failing"))
    failed = [each for each in found["entrants"] if each["test_failures"]]
    assert [each["test_failures"] for each in failed] == [["nonfinite"]]
    (entry,) = found["bins"]
    assert entry["why"] == "no claim: 4 seeds, a claim takes 5"


def test_data_that_a_published_network_cannot_read_leave_it_out_in_sight(tmp_path: Path) -> None:
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
    assert "halves the resolution" in reasons["published fractalnet"]
