"""Runs in the formats of other tools: read back by those tools, or by the book."""

from __future__ import annotations

import csv
import io
import json
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from made_runs import ENVIRONMENT, made_config, made_run
from noisy_runs import LATENCY, noisy_run, noisy_trial

from nas.errors import EnvironmentFault, RunError
from nas.pareto import hypervolume
from nas.run_store import Run
from nas.search.exports.scalars import ScalarReader, summary
from nas.search.exports.study import export_studies
from nas.search.exports.tensorboard import write_events
from nas.search.exports.trials import runs_table, table_csv
from nas.search.front.tables import table_parquet
from nas.search.samplers.study_file import short_names


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with finished, failed, open, infeasible and unmeasured trials."""
    root = tmp_path_factory.mktemp("runs")
    path = made_run(root, "mixed", trials=4)
    objectives = [
        {"name": "error", "unit": "fraction", "source": "inherited"},
        {"name": "macs", "unit": "MACs", "source": "computed"},
    ]
    with Run.open(path, write=True) as run:
        run.append({"kind": "stage_started", "stage": "prepare"})
        run.append({"kind": "stage_finished", "stage": "prepare", "objectives": objectives})
        decisions = run.table().trials[0].decisions
        for number in (4, 5, 6):
            asked = {"kind": "trial_asked", "trial": number, "attempt": 1, "decisions": decisions}
            run.append({**asked, "wiring": "=HYPERLINK(1)", "family": "chain"})
        run.append(
            {"kind": "trial_failed", "trial": 4, "attempt": 1, "reason": "oom", "message": "full"}
        )
        values = {
            "error": {"value": 0.001, "unit": "fraction", "source": "inherited"},
            "macs": {"value": 7, "unit": "MACs", "source": "computed"},
        }
        over = {"violations": {"macs": 0.5}, "measures": {"parameters": 9, "macs": 7}}
        run.append({"kind": "trial_finished", "trial": 5, "attempt": 1, "values": values, **over})
        run.note("epoch", stage="supernet", epoch=1, loss=2.5, alarmed=True, remark="text")
        run.note("epoch", stage="supernet", epoch=2, loss=float("nan"))
    return Run.open(path)


def loaded(path: Path, name: str) -> optuna.Study:
    if path.suffix == ".log":
        backend = optuna.storages.journal.JournalFileBackend(str(path))
        return optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(backend))
    return optuna.load_study(study_name=name, storage=f"sqlite:///{path}")


@pytest.mark.parametrize("ending", [".db", ".log"])
def test_optuna_loads_what_the_log_says(mixed: Run, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"study{ending}"
    assert export_studies({"mixed": mixed}, path) == 7
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600
    study = loaded(path, "mixed")
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MINIMIZE"]
    assert study.metric_names == ["error", "macs"]
    table = mixed.table()
    for trial in study.trials:
        ours = table.trials[trial.number]
        states = {"finished": "COMPLETE", "failed": "FAIL", "asked": "RUNNING"}
        assert trial.state.name == states[ours.state]
        assert trial.user_attrs["wiring"] == ours.extra["wiring"]
        for name, value in trial.params.items():
            assert ours.decisions is not None and ours.decisions[name] == value
        if trial.state.name == "COMPLETE":
            assert trial.values == [ours.value("error"), ours.value("macs")]
    assert study.trials[4].user_attrs["failure"] == "oom"
    assert study.trials[5].constraints == {"macs": 0.5}
    assert {each.number for each in study.best_trials} == {
        trial.number for trial in study.trials if trial.user_attrs.get("on front")
    }
    assert study.user_attrs["nas run"] == "mixed"


def test_what_optuna_draws_can_be_drawn_from_it(mixed: Run, tmp_path: Path) -> None:
    from optuna.visualization import _optimization_history, _parallel_coordinate, _pareto_front

    path = tmp_path / "study.log"
    export_studies({"mixed": mixed}, path)
    study = loaded(path, "mixed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # trials that are not finished
        front = _pareto_front._get_pareto_front_info(study)
        (history,) = _optimization_history._get_optimization_history_info_list(
            study, target=lambda trial: trial.values[0], target_name="error", error_bar=False
        )
        parallel = _parallel_coordinate._get_parallel_coordinate_info(
            study, target=lambda trial: trial.values[0]
        )
        importances = optuna.importance.get_param_importances(
            study, target=lambda trial: trial.values[0]
        )
    assert front.target_names == ["error", "macs"]
    assert len(front.best_trials_with_values) == len(study.best_trials)
    assert len(front.infeasible_trials_with_values) == 1
    states = [state.name for state in history.values_info.states]
    assert states.count("Feasible") == 4 and states.count("Infeasible") == 1
    assert parallel.dims_params and set(importances) <= set(study.trials[0].params)


def test_several_runs_are_studies_of_one_file(tmp_path: Path) -> None:
    runs = {name: Run.open(made_run(tmp_path, name, trials=2)) for name in ("a", "b")}
    path = tmp_path / "both.log"
    export_studies(runs, path)
    assert len(loaded(path, "a").trials) == len(loaded(path, "b").trials) == 2


def test_a_file_that_is_there_is_never_replaced(mixed: Run, tmp_path: Path) -> None:
    path = tmp_path / "study.log"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(EnvironmentFault, match="cannot be written: File exists"):
        export_studies({"mixed": mixed}, path)
    assert path.read_text(encoding="utf-8") == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_decisions_of_another_space_are_refused(tmp_path: Path) -> None:
    with Run.create(tmp_path, "odd", made_config(), ENVIRONMENT) as run:
        run.append({"kind": "trial_asked", "trial": 0, "attempt": 1, "decisions": {"x": 1}})
    with pytest.raises(RunError, match="The decisions of trial 0 of 'odd' are none of its space"):
        export_studies({"odd": Run.open(run.path)}, tmp_path / "odd.log")
    assert not (tmp_path / "odd.log").exists()


def test_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    path = made_run(tmp_path, "late", trials=1) / "environment.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, "created": "soon"}), encoding="utf-8")
    with pytest.raises(RunError, match="'soon' is no time"):
        export_studies({"late": Run.open(path.parent)}, tmp_path / "late.log")


def test_a_parameter_is_named_by_its_question_unless_two_sets_of_options_share_it() -> None:
    names = ["depth=1|2", "depth=1|3", "width=8|16", "inputs:stem"]
    assert short_names(names) == {
        "depth=1|2": "depth=1|2",
        "depth=1|3": "depth=1|3",
        "width=8|16": "width",
        "inputs:stem": "inputs:stem",
    }


def test_scalars_tell_trials_epochs_and_the_front_and_no_text_or_nan(mixed: Run) -> None:
    found = ScalarReader(mixed).news()
    by_tag: dict[str, list[Any]] = {}
    for each in found:
        by_tag.setdefault(each.tag, []).append(each)
    assert [(each.step, each.value) for each in by_tag["supernet/loss"]] == [(1, 2.5)]
    assert by_tag["supernet/loss"][0].time > 1.7e9
    assert "supernet/remark" not in by_tag and "supernet/alarmed" not in by_tag
    finished = mixed.table().finished()
    assert [each.value for each in by_tag["trials/error"]] == [
        trial.value("error") for trial in finished
    ]
    assert [each.step for each in by_tag["trials/error"]] == [trial.number for trial in finished]


def test_the_best_so_far_and_the_volume_never_get_worse(tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    points = rng.uniform(0.5, 2.0, (20, 2))
    run = noisy_run(tmp_path, [noisy_trial(float(x), float(y)) for x, y in points])
    reader = ScalarReader(run)
    found = reader.news()
    best = [each.value for each in found if each.tag == "best/cross_entropy"]
    assert best == list(np.minimum.accumulate(points[:, 0]))
    volumes = [(each.step, each.value) for each in found if each.tag == "front/hypervolume"]
    assert [step for step, _ in volumes] == list(range(8, 21))
    assert all(after >= before for (_, before), (_, after) in pairwise(volumes))
    assert volumes[-1][1] == pytest.approx(hypervolume(points, reader._corner))
    assert f"best/{LATENCY}" in {each.tag for each in found}


def test_news_are_told_once(tmp_path: Path) -> None:
    path = made_run(tmp_path, "grows", trials=2)
    reader = ScalarReader(Run.open(path))
    first = reader.news()
    assert first and reader.news() == []
    with Run.open(path, write=True) as run:
        run.note("epoch", stage="supernet", epoch=7, loss=0.5)
    (told,) = reader.news()
    assert (told.tag, told.step, told.value) == ("supernet/loss", 7, 0.5)


def test_curves_of_single_trainings_have_a_tag_per_seed(tmp_path: Path) -> None:
    with Run.create(tmp_path, "curves", made_config(), ENVIRONMENT) as run:
        head = {"name": "trial-3", "recipe_hash": "abc", "seed_index": 1, "losses": [2.0, 1.0]}
        run.append({"kind": "confirm_validated", **head, "validation_error": 0.25})
        run.append({"kind": "confirm_finished", **head, "candidate": "c", "test_error": 0.5})
    found = {(each.tag, each.step): each.value for each in ScalarReader(run).news()}
    assert found["confirm/trial-3/abc/loss seed a1", 2] == 1.0
    assert found["confirm/trial-3/abc/loss seed b1", 1] == 2.0
    assert found["confirm/trial-3/abc/validation_error", 1] == 0.25
    assert found["confirm/trial-3/abc/test_error", 1] == 0.5


def test_a_run_is_summed_up_in_short_texts(mixed: Run) -> None:
    found = summary(mixed)
    assert found["run"] == "mixed" and found["trials_finished"] == "5"
    assert found["trials_feasible"] == "4" and found["data"] == "digits"
    assert all(isinstance(text, str) for text in found.values())


def test_tensorboard_files_hold_the_same_numbers(mixed: Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="pip install 'nas[tensorboard]'")
    from tensorboardX.event_file_writer import EventsWriter  # noqa: F401 - the reader's format
    from tensorboardX.proto.event_pb2 import Event

    count = write_events(mixed, tmp_path / "mixed")
    (path,) = (tmp_path / "mixed").iterdir()
    assert path.name.endswith(".nas")  # not the name of this machine
    data, found = path.read_bytes(), []
    while data:  # records of TensorFlow: length, its checksum, the event, its checksum
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        found += [
            (value.tag, event.step, value.simple_value)
            for value in event.summary.value
            if value.WhichOneof("value") == "simple_value"
        ]
        data = data[16 + length :]
    wanted = ScalarReader(mixed).news()
    assert len(found) == len(wanted) == count
    for (tag, step, value), each in zip(found, wanted, strict=True):
        assert (tag, step) == (each.tag.replace("[", "_").replace("]", "_"), each.step)
        assert value == pytest.approx(each.value, rel=1e-6)


def test_tables_hold_every_trial_of_every_run(mixed: Run, tmp_path: Path) -> None:
    noisy = noisy_run(tmp_path, [noisy_trial(1.0, 1.0)], name="noisy")
    table = runs_table({"mixed": mixed, "noisy": noisy})
    frame = pd.read_parquet(io.BytesIO(table_parquet(table)))
    assert list(frame["run"]) == ["mixed"] * 7 + ["noisy"]
    assert frame["error"].notna().sum() == 5 and frame["cross_entropy"].notna().sum() == 1
    rows = list(csv.DictReader(io.StringIO(table_csv(table).decode())))
    assert len(rows) == 8
    assert rows[4]["wiring"] == "'=HYPERLINK(1)"  # no formula in a spreadsheet
    assert rows[4]["reason"] == "oom" and rows[6]["state"] == "asked" and rows[6]["error"] == ""
    assert [row["feasible"] for row in rows[:6]] == ["true"] * 4 + ["", "false"]
