"""Trainings as an experiment of Ray Tune: the same answers, and what becomes of lost workers."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scale import is_full_scale
from tune_fakes import TASK

from nas.errors import ConfigError, EnvironmentFault
from nas.run_store.weights import WeightStore
from nas.search.executors.base import Job, Outcome, Setup
from nas.search.executors.inline import InlineExecutor
from nas.search.executors.ray_executor import RayExecutor
from nas.search.executors.scratch import scratch_folder
from nas.search.executors.tune.early_stopping import STOPPED, EarlyStopping
from nas.search.executors.tune.trainings import MOST_FAILURES, TuneTrainings
from nas.search.executors.tune.wiring import why_gone

soak = pytest.mark.skipif(not is_full_scale(), reason="skipped: starts more workers; make soak")


@pytest.fixture(scope="module")
def ray_executor() -> Iterator[RayExecutor]:
    with RayExecutor(1) as executor:  # each worker takes seconds to start
        yield executor


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


def job(name: str, seed: int = 0, keeps: str | None = None, **more: Any) -> Job:
    return Job(name, {"name": name, "seed": seed, **more}, keeps=keeps)


def trouble(kind: str, at: int, times: int = 99) -> dict[str, Any]:
    return {"trouble": {"kind": kind, "at": at, "times": times}}


def outcomes(executor: Any, jobs: list[Job], setup: Setup) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}

    def take(each: Outcome) -> None:
        assert threading.current_thread() is threading.main_thread()
        assert each.key not in found
        found[each.key] = each

    executor.prepare(setup)
    assert executor.run(jobs, take)
    return found


def setup(journal: Path, **more: Any) -> Setup:
    return Setup(TASK, {"journal": str(journal)}, **more)


@pytest.mark.fault("A1", "A12", "A13", "G-R13", "G-D2")
def test_trainings_survive_their_workers_and_answer_as_they_do_here(
    ray_executor: RayExecutor, scratch: Path, tmp_path: Path
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    calm, kept = job("calm", 1), job("kept", 3, keeps=str(tmp_path / "here"))
    with InlineExecutor() as inline:
        own = setup(tmp_path / "here.txt")
        expected = outcomes(inline, [calm, job("unlucky", 2), kept], own)
    jobs = [
        calm,
        job("unlucky", 2, **trouble("kill", 3, times=1)),
        job("diverged", 6, **trouble("diverge", 2)),
        job("kept", 3, keeps=str(tmp_path / "there")),
        job("hung", 5, **trouble("hang", 2)),
    ]
    journal = tmp_path / "there.txt"
    tune = TuneTrainings(ray_executor, scratch, checkpoint_every_s=0)
    found = outcomes(tune, jobs, setup(journal, timeout_s=5.0))
    for name in ("calm", "unlucky", "kept"):
        assert found[name] == expected[name], found[name].message
    assert found["diverged"].reason == "nonfinite"
    assert found["diverged"].message == "The training loss is nan."
    assert found["hung"].reason == "timeout"
    assert found["hung"].message == "It took longer than 5 s and was ended."
    assert found["hung"].seconds == pytest.approx(5, abs=2)
    epochs = journal.read_text().splitlines()
    # From its checkpoint: the epochs before the one that killed it are not trained again.
    assert [each for each in epochs if "unlucky" in each] == [
        f"unlucky epoch {number}" for number in (1, 2, 3, 3, 4)
    ]
    assert epochs.count("diverged epoch 2") == epochs.count("hung epoch 2") == 1
    sha = (found["kept"].result or {})["weights"]
    assert WeightStore(tmp_path / "there" / "weights").get(sha)
    assert list(scratch.iterdir()) == [], "what Tune stores is gone with the experiment"


@pytest.mark.fault("A11")
@soak
def test_a_training_that_kills_its_worker_each_time_is_given_up(
    ray_executor: RayExecutor, scratch: Path, tmp_path: Path
) -> None:
    tune = TuneTrainings(ray_executor, scratch, checkpoint_every_s=0)
    journal = tmp_path / "journal.txt"
    jobs = [job("poison", 4, **trouble("kill", 2)), job("calm", 1)]
    found = outcomes(tune, jobs, setup(journal))
    assert found["poison"].reason == "died"
    assert "The worker process ended" in (found["poison"].message or "")
    assert found["calm"].result
    assert journal.read_text().splitlines().count("poison epoch 2") == MOST_FAILURES + 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("1 (at noon) The actor is dead because its worker process has died. Exit: node", "died"),
        ("1 (at noon) The actor is dead because its node has died. Node Id: 7", "lost"),
        ("2 OutOfMemoryError: Task was killed due to the node running low on memory.", "oom"),
        ("", "died"),
    ],
)
def test_a_loss_is_told_by_what_was_lost(words: str, reason: str) -> None:
    assert why_gone(words)[0] == reason


@soak
def test_a_task_that_cannot_be_made_is_an_error_of_the_search(
    ray_executor: RayExecutor, scratch: Path, tmp_path: Path
) -> None:
    tune = TuneTrainings(ray_executor, scratch)
    tune.prepare(Setup(TASK, {"journal": str(tmp_path / "none"), "unfit": "There are no images."}))
    with pytest.raises(ConfigError, match=r"There are no images\.") as found:
        tune.run([job("first"), job("second")], lambda _: None)
    assert found.value.fix == "Change it."
    assert list(scratch.iterdir()) == []


def test_trainings_that_lag_behind_are_stopped_and_say_when(
    ray_executor: RayExecutor, scratch: Path, tmp_path: Path
) -> None:
    stopping = EarlyStopping(epochs=9)
    assert (stopping.grace, stopping.looks()) == (1, [1, 3, 9])
    tune = TuneTrainings(ray_executor, scratch)
    tune.early_stopping = stopping
    good = [job(f"good {seed}", seed, epochs=9, rate=0.2) for seed in range(3)]
    bad = [job(f"bad {seed}", seed, epochs=9, rate=1e-6) for seed in range(2)]
    found = outcomes(tune, [*good, *bad], setup(tmp_path / "journal.txt"))
    reasons = {key: each.reason for key, each in found.items()}
    assert reasons["good 0"] is None, "there was nobody better"
    assert reasons["bad 0"] == reasons["bad 1"] == STOPPED
    message = found["bad 0"].message or ""
    assert message.startswith("Stopped early after epoch 1, with a validation error of 0.")


@pytest.mark.fault("A5")
@soak
def test_a_stop_lets_trainings_finish_and_starts_no_other(
    ray_executor: RayExecutor, scratch: Path, tmp_path: Path
) -> None:
    tune = TuneTrainings(ray_executor, scratch)
    tune.prepare(setup(tmp_path / "journal.txt"))
    found: list[str] = []
    jobs = [job(f"number {index}", index, epochs=200) for index in range(9)]
    complete = tune.run(jobs, lambda each: found.append(each.key), lambda: bool(found))
    assert not complete
    assert 1 <= len(found) < 5
    assert list(scratch.iterdir()) == []


@soak
def test_a_fault_of_who_listens_ends_the_experiment(
    ray_executor: RayExecutor, scratch: Path, tmp_path: Path
) -> None:
    def full(_: Outcome) -> None:
        raise EnvironmentFault("The disk is full.")

    tune = TuneTrainings(ray_executor, scratch)
    tune.prepare(setup(tmp_path / "journal.txt"))
    with pytest.raises(EnvironmentFault, match="The disk is full"):
        tune.run([job("first"), job("second")], full)
    assert list(scratch.iterdir()) == []


@pytest.mark.fault("A1")
def test_what_a_killed_experiment_left_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    child = os.fork()
    if child == 0:
        with scratch_folder("tune"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    with scratch_folder("tune") as own:
        assert list(tmp_path.iterdir()) == [own] != [left]
        assert own.stat().st_mode & 0o777 == 0o700
        with scratch_folder("tune") as other:
            assert sorted(tmp_path.iterdir()) == sorted([own, other]), "one in use stays"
    assert list(tmp_path.iterdir()) == []
