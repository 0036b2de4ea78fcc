"""Trainings of a run are left and gone on with by its workers, and nothing of them stays."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
from tune_fakes import TASK

from nas.run_store import Run
from nas.run_store.layout import TRAININGS
from nas.run_store.weights import WeightStore
from nas.search.executors import AbstractExecutor, Job, Outcome, Setup
from nas.search.executors.base import Feed
from nas.search.executors.inline import InlineExecutor
from nas.search.executors.local import LocalExecutor
from nas.search.training.kept_trainings import forget_states, run_kept, told_left, trainings_left


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.txt"


def setup(journal: Path, **more: Any) -> Setup:
    return Setup(TASK, {"journal": str(journal), **more})


def job(name: str = "one", seed: int = 1, **trouble: object) -> Job:
    return Job(name, {"name": name, "seed": seed, "trouble": trouble})


def train(
    executor: AbstractExecutor,
    run: Path,
    jobs: Iterable[Job],
    given: Setup,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[bool, dict[str, Outcome]]:
    found: dict[str, Outcome] = {}
    executor.prepare(given)

    def keep(outcome: Outcome) -> None:
        found[outcome.key] = outcome

    return run_kept(executor, run, given, jobs, keep, should_stop), found


def epochs(journal: Path, name: str = "one") -> list[int]:
    lines = journal.read_text().splitlines() if journal.exists() else []
    return [int(line.split()[-1]) for line in lines if line.startswith(f"{name} ")]


@pytest.mark.fault("A5", "A21")
@pytest.mark.parametrize("kind", [InlineExecutor, LocalExecutor])
def test_a_training_is_left_at_once_when_it_is_time_to_stop_and_goes_on_later(
    kind: Callable[[], AbstractExecutor],
    tmp_path: Path,
    journal: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="nas")
    waiting = {"kind": "wait to be left", "at": 3, "times": 1}
    with InlineExecutor() as inline:
        calm = setup(tmp_path / "calm.txt")
        _, expected = train(inline, tmp_path / "calm", [job()], calm)
    with kind() as executor:
        jobs, given = [job(**waiting)], setup(journal)

        def is_waiting() -> bool:
            return 3 in epochs(journal)

        (tmp_path / "run").mkdir()
        complete, found = train(executor, tmp_path / "run", jobs, given, is_waiting)
        assert (complete, found, trainings_left(tmp_path / "run")) == (False, {}, 1)
        complete, found = train(executor, tmp_path / "run", jobs, given)
    assert complete and found == expected
    assert epochs(journal) == [1, 2, 3, 3, 4]
    assert "goes on where it was left, after step 6 of epoch 3 of 4" in caplog.text
    assert trainings_left(tmp_path / "run") == 0


@final
class Dying(AbstractExecutor):
    """Trains here, and says of the first attempts that they ended behind their second epoch."""

    def __init__(self, deaths: int, journal: Path, reason: str = "died") -> None:
        super().__init__(1)
        self._journal = journal
        self._deaths = deaths
        self._reason = reason
        self._inline = InlineExecutor()

    def prepare(self, setup: Setup) -> None:
        self._inline.prepare(setup)

    def run(
        self,
        jobs: Iterable[Job],
        on_outcome: Callable[[Outcome], None],
        should_stop: Callable[[], bool] = lambda: False,
        grace_s: float = 20.0,
    ) -> bool:
        feed, complete = Feed(jobs), True
        while (job := feed.take()) is not None:
            self._deaths -= 1
            if self._deaths < 0:
                complete &= self._inline.run([job], on_outcome)
                continue
            before = epochs(self._journal).count(3)

            def dies(before: int = before) -> bool:
                return epochs(self._journal).count(3) > before

            self._inline.run([job], lambda outcome: on_outcome(self._ended(outcome)), dies)
        return complete

    def _ended(self, outcome: Outcome) -> Outcome:
        return Outcome(outcome.key, None, self._reason, "The worker process ended (signal 9).")

    def close(self) -> None:
        self._inline.close()


@pytest.mark.fault("A11", "A21")
def test_an_attempt_behind_a_death_goes_on_and_the_last_one_begins_anew(
    tmp_path: Path, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").mkdir()
    with Dying(2, journal) as executor:
        complete, found = train(executor, tmp_path / "run", [job()], setup(journal))
    assert complete and found["one"].result
    assert epochs(journal) == [1, 2, 3, 3, 1, 2, 3, 4]
    assert "training one begins anew: its worker died 2 times" in caplog.text


@pytest.mark.fault("A7", "A21")
def test_an_attempt_behind_one_that_ran_out_of_memory_begins_anew(
    tmp_path: Path, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").mkdir()
    with Dying(1, journal, "oom") as executor:
        complete, found = train(executor, tmp_path / "run", [job()], setup(journal))
    assert complete and found["one"].result
    assert epochs(journal) == [1, 2, 3, 1, 2, 3, 4]
    assert "training one begins anew: memory ran out, and where it stood" in caplog.text


@pytest.mark.fault("A3", "A21")
def test_a_state_left_behind_by_a_kill_goes_with_the_last_training_of_its_kind(
    tmp_path: Path, journal: Path
) -> None:
    run, other = tmp_path / "run", setup(journal, recipe="another")
    run.mkdir()
    for given in (setup(journal), other):
        with InlineExecutor() as executor:
            train(executor, run, [job()], given, lambda: journal.exists())
            journal.unlink()
    assert trainings_left(run) == 2  # one of each kind
    forget_states(run, setup(journal))
    assert trainings_left(run) == 1
    forget_states(run, other)
    assert not list(run.iterdir())


@pytest.mark.fault("A21")
def test_the_next_owner_removes_what_a_kill_left_and_counts_only_states(tmp_path: Path) -> None:
    with Run.create(tmp_path, "mine", {}, {}):
        pass
    run = tmp_path / "mine"
    for name in ("one", "two"):
        (run / TRAININGS / name).mkdir(parents=True)
        (run / TRAININGS / name / ".tmp-1-0-x").write_bytes(b"half a state")
    WeightStore(run / TRAININGS / "one").put({"w": np.zeros(3)})
    with Run.open(run, write=True):
        assert not list(run.rglob(".tmp-*"))
    assert trainings_left(run) == 1
    assert told_left(run) == " 1 training goes on from there."
