"""A training goes on from the state it kept, to the same bits; an unsound state costs time only."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tune_fakes import drawn_images, noisy

from nas.run_store import atomic
from nas.search.executors.attempt import JobLeft
from nas.search.training.kept_state import MOST_SHARE, MOST_STARTS, KeptState, go_on
from nas.search.training.kept_trainings import forget_state
from nas.training.fit import FitResult, Training, fit
from nas.training.fit_state import FitState
from nas.training.recipe import Recipe

RECIPE = Recipe(epochs=3, batch_size=64, learning_rate=0.1)
STEPS = 9
ABOUT = {"data": "drawn"}


def fresh(recipe: Recipe = RECIPE, seed: int = 3) -> Training:
    return Training(noisy(), drawn_images(), recipe, seed=seed)


def bits(training: Training) -> bytes:
    return b"".join(each.numpy().tobytes() for each in training.module.state_dict().values())


def whole() -> tuple[bytes, FitResult]:
    module = noisy()
    done = fit(module, drawn_images(), RECIPE, seed=3)
    content = b"".join(each.numpy().tobytes() for each in module.state_dict().values())
    return content, replace(done, seconds=0.0)


def leave(folder: Path, steps: int, training: Training | None = None) -> None:
    """Train until so many steps are done; leave a state there."""
    training = training or fresh()
    with pytest.raises(JobLeft):
        go_on(training, kept(folder), should_stop=lambda: training.steps >= steps)


def kept(folder: Path, every_s: float = 1e6, **more: Any) -> KeptState:
    return KeptState(folder, ABOUT, every_s, **more)


def goes_on(folder: Path, state: KeptState | None = None) -> int:
    """Train to the end, to the bits of the whole training; return at which step it began."""
    training, seen = fresh(), []
    done = go_on(
        training, state or kept(folder), should_stop=lambda: bool(seen.append(training.steps))
    )
    assert (bits(training), replace(done, seconds=0.0)) == whole()
    return seen[0] if seen else STEPS


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level(logging.INFO, logger="nas")

    def take() -> str:
        text = caplog.text
        caplog.clear()
        return text

    return take


@pytest.mark.fault("A21", "G-D2")
def test_a_training_goes_on_from_any_step_that_it_was_left_at(
    tmp_path: Path, said: Callable[[], str]
) -> None:
    folder = tmp_path / "run" / "one"
    for step in range(1, STEPS):  # each time from the state of the time before
        (tmp_path / "run").mkdir(exist_ok=True)
        leave(folder, step)
        assert len(list(folder.glob("*.safetensors"))) == 1
    said()
    assert goes_on(folder) == STEPS - 1
    assert "goes on where it was left, after step 8 of epoch 3 of 3" in said()


@pytest.mark.fault("A21")
def test_states_are_kept_by_the_clock_and_seldom_where_that_takes_long(tmp_path: Path) -> None:
    now = [0.0]
    state = kept(tmp_path / "one", 30.0, clock=lambda: now[0])
    due = []
    for second in range(190):
        now[0] = float(second)
        if state.is_due():
            due.append(second)

            def slow() -> FitState:
                now[0] += 2.0 if len(due) == 2 else 0.0
                return fresh().state()

            assert state.keep(slow)
    assert due == [30, 60, 60 + 2 + int(2 / MOST_SHARE)]


@pytest.mark.fault("A21", "B7", "B8")
@pytest.mark.parametrize("how", ["cut", "flipped", "empty"])
def test_a_damaged_state_is_told_and_the_training_begins_anew(
    tmp_path: Path, said: Callable[[], str], how: str
) -> None:
    leave(tmp_path / "one", 5)
    (file,) = (tmp_path / "one").glob("*.safetensors")
    data = bytearray(file.read_bytes())
    data[-3] ^= 4
    file.write_bytes({"cut": data[: len(data) // 2], "flipped": data, "empty": b""}[how])
    assert goes_on(tmp_path / "one") == 0
    assert "where a training stood cannot be read" in said()


@pytest.mark.fault("A21")
def test_the_state_of_another_training_is_told_and_not_used(
    tmp_path: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "one"
    others = {
        "its recipe is": fresh(RECIPE.model_copy(update={"learning_rate": 0.2})),
        "its seed is 4, here it is 3": fresh(seed=4),
    }
    for difference, training in others.items():
        leave(folder, 5, training)
        assert goes_on(folder) == 0
        assert difference in said()
    leave(folder, 5)
    assert goes_on(folder, KeptState(folder, {"data": "others"}, 1e6)) == 0
    assert "its data is 'drawn', here it is 'others'" in said()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("torch.__version__", "1.0")
        leave(folder, 5)
    assert goes_on(folder) == 0
    assert "its torch is '1.0'" in said()


@pytest.mark.fault("A21")
def test_a_state_that_ends_its_process_each_time_is_given_up(
    tmp_path: Path, said: Callable[[], str]
) -> None:
    folder = tmp_path / "one"
    leave(folder, 5)
    for _ in range(MOST_STARTS):
        training = fresh()
        assert kept(folder).restore(training)
        assert training.steps == 5
    assert goes_on(folder) == 0
    assert "gone on with 5 times from one state" in said()
    leave(folder, 5)
    assert goes_on(folder) == 5  # a new state is a new beginning


@pytest.mark.fault("A21", "B2")
def test_a_full_disk_costs_the_state_and_not_the_training(
    tmp_path: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path / "one", 2)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as filled:
        filled.setattr(atomic, "write_all", full)
        assert goes_on(tmp_path / "one", kept(tmp_path / "one", 0.0)) == 2
    told = said()
    assert told.count("cannot be kept, it goes on without: disk full") == 1
    assert goes_on(tmp_path / "one") == 2  # the last one that fitted stays


@pytest.mark.fault("B15")
def test_links_in_a_run_are_followed_neither_for_reading_nor_for_writing(
    tmp_path: Path, said: Callable[[], str]
) -> None:
    leave(tmp_path / "elsewhere", 2)
    (tmp_path / "trainings").mkdir()
    (tmp_path / "trainings" / "one").symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").iterdir())
    assert goes_on(tmp_path / "trainings" / "one", kept(tmp_path / "trainings" / "one", 0.0)) == 0
    assert "'one' is not a folder" in said()
    assert not forget_state(tmp_path / "trainings" / "one")
    assert sorted((tmp_path / "elsewhere").iterdir()) == before


def test_the_folder_beside_an_output_may_lie_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    leave(tmp_path / "link" / "net.training", 4)
    assert goes_on(tmp_path / "link" / "net.training") == 4
    assert forget_state(tmp_path / "link" / "net.training")


def test_what_a_training_cost_before_is_counted(tmp_path: Path) -> None:
    state = kept(tmp_path / "one")
    state.earlier_s = 1000.0
    state.keep(fresh().state)
    again = kept(tmp_path / "one")
    assert again.restore(fresh())
    assert again.earlier_s > 1000.0


def test_only_what_was_kept_is_removed(tmp_path: Path) -> None:
    leave(tmp_path / "one", 2)
    (tmp_path / "one" / "notes.txt").write_text("mine")
    assert forget_state(tmp_path / "one")
    assert [each.name for each in (tmp_path / "one").iterdir()] == ["notes.txt"]
    leave(tmp_path / "two", 2)
    assert forget_state(tmp_path / "two")
    assert not (tmp_path / "two").exists()
    assert not forget_state(tmp_path / "two")
