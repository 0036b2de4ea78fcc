"""The config lines of path training: what they accept, refuse, and leave in a run's records."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas.errors import ConfigError, NasError, NotFoundError, SpaceError, TrialError
from nas.search.driver import search
from nas.search.settings.config import PathTrainingConfig
from nas.search.settings.resolve import resolve_config
from nas.search.training.learning import SUPERNET, _Keeper
from nas.supernet.checkpoints import Fault
from nas.supernet.loop import EpochHealth, TrainingResult
from nas.supernet.path_samplers import PATH_SAMPLERS
from nas.supernet.paths import PathConfig

LINE = "supernet.training.sampler"


def test_uniform_without_distillation_is_the_default() -> None:
    training = resolve_config("tiny_exhaustive").supernet.training
    assert (training.sampler, training.distillation) == ("uniform", 0.0)


def test_the_config_names_every_sampler() -> None:
    documented = PathTrainingConfig.model_fields["sampler"]
    assert documented.default in PATH_SAMPLERS
    source = inspect.getsource(PathTrainingConfig)
    for name in PATH_SAMPLERS:
        assert f"`{name}`" in source, name


def test_a_sampler_with_options_reaches_the_training_as_it_is_written() -> None:
    lines = [f"{LINE}={{name: sandwich, members: 1}}", "supernet.training.distillation=0.5"]
    training = resolve_config("wired_cnn", overrides=lines).supernet.training
    config = PathConfig(**training.model_dump(exclude={"checkpoint_every_s"}))
    assert config.sampler == {"name": "sandwich", "members": 1}
    assert config.distillation == 0.5


@pytest.mark.parametrize(
    ("space", "line", "kind", "message"),
    [
        ("tiny_exhaustive", "magic", NotFoundError, "Unknown path sampler 'magic'"),
        ("tiny_exhaustive", "{members: 2}", ConfigError, "path sampler has no name"),
        ("tiny_exhaustive", "{name: fair, k: 2}", ConfigError, "has no option 'k'"),
        ("tiny_exhaustive", "shrinking", SpaceError, "'shrinking' does not fit the space 'tiny"),
        ("nasbench201", "partition", SpaceError, "'partition' does not fit the space 'nasb"),
        ("nasbench201", "blockwise", SpaceError, "'blockwise' does not fit the space 'nasb"),
    ],
)
def test_a_wrong_sampler_is_refused_before_anything_runs(
    space: str, line: str, kind: type[NasError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        resolve_config(space, overrides=[f"{LINE}={line}"])
    assert LINE in str(caught.value.where)
    assert caught.value.fix


def test_a_factor_of_distillation_beyond_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 0 and at most 1"):
        resolve_config("tiny_exhaustive", overrides=["supernet.training.distillation=1.5"])


def keeper(notes: list[dict[str, Any]]) -> _Keeper:
    def note(kind: str, **fields: Any) -> None:
        notes.append({"kind": kind, **fields})

    training = SimpleNamespace(checkpoint_every_s=1e6)
    config = SimpleNamespace(supernet=SimpleNamespace(training=training))
    tell: Callable[..., None] = lambda *_: None  # noqa: E731
    session = SimpleNamespace(run=SimpleNamespace(note=note), tell=tell, config=config)
    return _Keeper(session, SUPERNET)  # type: ignore[arg-type]


@pytest.mark.fault("E3")
def test_a_recovery_is_recorded_with_its_diagnosis_and_marks_the_weights_untrusted() -> None:
    notes: list[dict[str, Any]] = []
    fault = Fault(9, float("inf"), 6, 0.005)
    mine = keeper(notes)
    mine.on_epoch(EpochHealth(2, 3, 12, 0.5, 1.0, (fault,)), dict)
    assert notes[0]["recoveries"] == 1
    told = mine.summary(TrainingResult(18, (0.5,), 1.0, True, (fault,), {"distillation": 0.5}))
    assert told["trustworthy"] is False and told["distillation"] == 0.5
    assert "at step 9 the loss became inf" in told["diagnoses"][0]
    assert keeper([]).summary(TrainingResult(18, (0.5,), 1.0, True))["trustworthy"] is True


def test_a_training_that_fails_leaves_its_diagnosis_in_the_run() -> None:
    notes: list[dict[str, Any]] = []
    with pytest.raises(TrialError, match="diverged again"), keeper(notes).diagnosing():
        raise TrialError("The supernet diverged again at step 3.", kind="nonfinite")
    assert notes[0]["kind"] == "training_failed" and notes[0]["trustworthy"] is False
    assert "diverged again" in notes[0]["diagnosis"]


@pytest.mark.fault("E3")
def test_a_search_that_explodes_stops_with_a_diagnosis_in_its_run(tmp_path: Path) -> None:
    config = resolve_config(
        {"space": "tiny_exhaustive", "data": "digits", "max_train_images": 300},
        overrides=[
            "objectives=[error, macs]",
            "supernet.relaxation.enabled=false",
            "supernet.training={learning_rate: 100, epochs: 6}",
        ],
    )
    with pytest.raises(TrialError, match="diverged again"):
        search(config, runs=tmp_path, name="exploded")
    notes = (tmp_path / "exploded" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    failed = [note for note in map(json.loads, notes) if note["kind"] == "training_failed"]
    assert [note["stage"] for note in failed] == ["supernet"]
    assert not failed[0]["trustworthy"] and "diverged again" in failed[0]["diagnosis"]
