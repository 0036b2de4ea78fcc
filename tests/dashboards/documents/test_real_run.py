"""Documents of a real search: relaxed, trained, explored and confirmed on digits, in small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dashboard_documents import problems

from dashboards.documents import document, report_documents
from dashboards.documents.architecture import architecture_document
from dashboards.documents.gates import gated_edges
from nas.run_store import Run
from nas.search.driver import search
from nas.search.settings.resolve import resolve_config
from nas.space import AbstractSpace, SubsetOf, load_space

FREE = {
    "schema": "nas.space/1",
    "kind": "stages",
    "name": "free_pair",
    "stages": [
        {
            "pattern": "free",
            "depth": 2,
            "width": 4,
            "operation": {"choices": ["conv3x3", "conv1x1"], "per": "node"},
        },
        {"pattern": {"choices": ["free", "residual"]}, "depth": 2, "width": 8, "stride": 2},
    ],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one real run."""
    folder = tmp_path_factory.mktemp("runs")
    config = resolve_config(
        {
            "space": FREE,
            "preset": "smoke",
            "max_train_images": 256,
            "objectives": ["cross_entropy", "macs"],
            "executor": {"kind": "inline"},
            "search": {"trials": 6, "batch": 3},
            "supernet": {
                "validation_images": 64,
                "training": {"epochs": 1},
                "relaxation": {"epochs": 3, "gate_warmup_epochs": 0.0},
            },
            "confirm": {
                "bins": 1,
                "shortlist": 1,
                "rivals": ["published"],
                "recipe": {"epochs": 2},
            },
        }
    )
    search(config, runs=folder, name="real")
    return folder


def get(runs: Path, part: str) -> Any:
    """Return a document of the run."""
    return document(runs, f"/api/runs/real{part}")


def test_a_report_carries_every_document_in_its_type(runs: Path) -> None:
    with Run.open(runs / "real") as run:
        carried = report_documents(run)
        again = report_documents(Run.open(runs / "real"))
    assert carried == again
    assert [path for path, found in carried.items() if problems(path, found)] == []
    expected = {f"/api/runs/real/trials/{number}" for number in range(6)}
    assert expected <= carried.keys()
    assert sum("/baselines/" in path for path in carried) >= 2


def test_gates_start_even_move_and_lie_on_the_edges_they_switch(runs: Path) -> None:
    found = get(runs, "/supernet")
    assert [step["epoch"] for step in found["gates"]["steps"]] == [1, 2, 3]
    choices = {choice["name"]: choice for choice in found["gates"]["choices"]}
    inputs = choices["stage1.op2.inputs"]
    assert (inputs["kind"], inputs["options"]) == ("subset_of", ["in", "op1"])
    assert any(choice["values"][0] != choice["values"][-1] for choice in choices.values())
    tied = {tuple(each.values()) for each in found["edge_choices"].values()}
    for name in ("stage1.op2.inputs", "stage1.out.inputs"):
        assert {(name, option) for option in choices[name]["options"]} <= tied
    gates = {edge["id"]: edge["gate"] for edge in found["graph"]["edges"]}
    assert gates["stem>stage1.op2"] == inputs["values"][-1][0]
    assert gates["input>stem"] is None
    assert found["node_choices"]["stage1.op1"] == "stage1.op1.operation"
    assert {each["stage"] for each in found["epochs"]} == {"relax", "supernet"}


def test_a_trial_carries_the_gates_of_its_own_edges(runs: Path) -> None:
    supernet = get(runs, "/supernet")
    choices = {choice["name"]: choice for choice in supernet["gates"]["choices"]}
    for number in range(6):
        trial = get(runs, f"/trials/{number}")
        gates = {edge["id"]: edge["gate"] for edge in trial["architecture"]["edges"]}
        chosen = trial["decisions"]["stage1.out.inputs"]
        for option in set(chosen) & {"op1", "op2"}:
            edge, index = f"stage1.{option}>stage1.out", choices["stage1.out.inputs"]["options"]
            if edge in gates:  # else nothing of that node is left
                last = choices["stage1.out.inputs"]["values"][-1]
                assert gates[edge] == last[index.index(option)]


def test_a_confirmed_trial_has_its_trainings_and_their_losses(runs: Path) -> None:
    front = get(runs, "/front")
    confirmed = [point["trial"] for point in front["points"] if point["error_confirmed_mean"]]
    assert confirmed
    found = get(runs, f"/trials/{confirmed[0]}")
    parts = [curve["part"] for curve in found["curves"]]
    assert "validation" in parts and parts.count("test") == found["confirmed"]["count"]
    errors = [curve["error"] for curve in found["curves"] if curve["part"] == "test"]
    assert found["confirmed"]["error_mean"] == pytest.approx(np.mean(errors))
    assert all(len(curve["losses"]) == 2 for curve in found["curves"])


def test_columns_say_what_the_log_says(runs: Path) -> None:
    columns = get(runs, "/trials")
    with Run.open(runs / "real") as run:
        trials = run.table().finished()
    assert columns["trial"] == [trial.number for trial in trials]
    for name, column in columns["values"].items():
        assert column == [trial.value(name) for trial in trials]
    assert columns["measures"]["parameters"] == [
        trial.extra["measures"]["parameters"] for trial in trials
    ]
    front = [point["trial"] for point in get(runs, "/front")["points"]]
    assert sorted(front) == columns["front"]
    assert [n for n, on in zip(columns["trial"], columns["on_front"], strict=True) if on] == sorted(
        front
    )


def test_the_confirmation_tells_how_many_trainings_it_has_finished(runs: Path) -> None:
    with Run.open(runs / "real") as run:
        done = [each for each in run.records() if "seed_index" in each and "test_error" in each]
        chosen = [each for each in run.records() if each["kind"] == "confirm_validated"]
    found = {each["name"]: each["trainings"] for each in get(runs, "/progress")["stages"]}
    assert found.pop("confirm") == len(done) + len(chosen) > 0
    assert set(found.values()) == {None}


def test_the_hypervolume_never_falls_and_ends_at_the_fronts(runs: Path) -> None:
    found = get(runs, "/progress")["hypervolume"]
    values = [step["value"] for step in found]
    assert values == sorted(values) and found[-1]["finished"] == 6
    assert values[-1] == pytest.approx(get(runs, "/front")["hypervolume"]["value"])
    assert all(step["low"] <= step["high"] for step in found if step["low"] is not None)


def test_documents_load_no_torch(runs: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nas.run_store import Run\n"
        "from dashboards.documents import report_documents\n"
        "report_documents(Run.open(Path(sys.argv[1]) / 'real'))\n"
        "assert 'torch' not in sys.modules and 'fastapi' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(runs)], check=True)


@pytest.mark.parametrize("name", ["wired_cnn", "resnet20_edits", "nasbench201", "free_pair"])
def test_an_edge_is_tied_to_the_answer_without_which_it_is_gone(name: str) -> None:
    from nas.space.declared import space_from_dict

    space = space_from_dict(FREE) if name == "free_pair" else load_space(name)
    for seed in range(2):
        _check_ties(space, seed)


def _check_ties(space: AbstractSpace, seed: int) -> None:
    decisions = space.sample(np.random.default_rng(seed))
    asked = {choice.name: choice for choice in space.asked(decisions)}
    edges = _edges(space, decisions)
    tied = list(gated_edges(edges, decisions))
    for each in tied:
        choice = asked[each.choice]
        answer = decisions[each.choice]
        if isinstance(choice, SubsetOf) and isinstance(answer, list):
            assert each.option in answer
            without = [option for option in answer if option != each.option]
            if len(without) < choice.minimum:
                continue
            changed = {**decisions, each.choice: without}
        elif "none" in choice.describe() and answer != "none":
            changed = {**decisions, each.choice: "none"}
        else:
            continue
        left = {(edge["source"], edge["target"]) for edge in _edges(space, changed)["edges"]}
        assert (each.source, each.target) not in left, each
    found = {(each.choice, each.option) for each in tied}
    for choice_name, answer in decisions.items():
        if isinstance(answer, list) and _targets(edges, choice_name):
            assert found >= {
                (choice_name, option)
                for option in answer
                if _still_there(edges, choice_name, option)
            }


def _edges(space: AbstractSpace, decisions: Any) -> dict[str, Any]:
    architecture = space.build(decisions)
    return architecture_document(architecture, (3, 32, 32), 10, identity="s1-0")


def _targets(found: dict[str, Any], choice: str) -> bool:
    target = choice.removesuffix(".inputs").removeprefix("cross.")
    return any(node["id"] in (target, f"{target}.in") for node in found["nodes"])


def _still_there(found: dict[str, Any], choice: str, option: str) -> bool:
    stage = choice.removesuffix(".inputs").rpartition(".")[0]
    names = {f"{stage}.{option}", option} if stage != "cross" else {option}
    return any(node["id"] in names for node in found["nodes"])
