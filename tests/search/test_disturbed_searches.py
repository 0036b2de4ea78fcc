"""Searches on disks that go away and under clocks that jump end as undisturbed ones do."""

from __future__ import annotations

import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from search_runs import fake_search, points

from nas.run_store import Run, examine, faults
from nas.run_store.atomic import StorageLost
from nas.search.driver import resume

SMALL = ("search.trials=6", "search.batch=3")


def results(run: Run) -> dict[int, Any]:
    return {
        trial.number: (
            trial.decisions,
            {name: each["value"] for name, each in trial.values.items()},
        )
        for trial in run.table().finished()
    }


@pytest.fixture(scope="module", name="expected")
def _expected(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fake_search(tmp_path_factory.mktemp("steady"), *SMALL)


@pytest.mark.fault("B11")
@pytest.mark.parametrize("loss", ["deleted", "broken"])
def test_a_search_whose_disk_goes_away_is_told_where_it_goes_on_and_ends_there_as_it_would_have(
    tmp_path: Path, expected: Run, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    faults.forget_passes()
    path = tmp_path / "mine"

    def lose(site: str) -> None:
        if (
            site == "before_append"
            and path.exists()
            and len(Run.open(path).table().finished()) == 2
        ):
            if loss == "deleted":
                shutil.rmtree(path)
            else:
                raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(faults, "reach", lose)
        with pytest.raises(StorageLost, match=r"(?s)kept in .*/mine-rescued;.*nas resume") as info:
            fake_search(tmp_path, *SMALL, name="mine")
    assert info.value.exit_code == 2
    rescued = tmp_path / "mine-rescued"
    assert len(Run.open(rescued).table().finished()) >= 2
    resume(rescued)
    run = Run.open(rescued)
    assert run.state() == "finished"
    assert (results(run), points(run)) == (results(expected), points(expected))
    assert [each for each in examine(rescued) if each.level == "error"] == []


@pytest.mark.fault("A18", "G-R14")
@pytest.mark.parametrize("jump_s", [-86_400.0, 262.0])
def test_a_search_under_a_clock_that_jumps_to_and_fro_finds_the_same(
    tmp_path: Path, expected: Run, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    looks = [0]
    real = time.time

    def jumping() -> float:
        looks[0] += 1
        return real() + jump_s * (looks[0] % 2)

    class Clock(datetime):
        """Shows the same time as `jumping`."""

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=jumping() - real())

    monkeypatch.setattr(time, "time", jumping)
    for module in ("nas.run_store.creation", "nas.run_store.lock", "nas.search.driver"):
        monkeypatch.setattr(f"{module}.datetime", Clock)
    run = fake_search(tmp_path, *SMALL, name="jumping")
    assert looks[0] > 0
    assert not run.table().failed()
    assert (results(run), points(run)) == (results(expected), points(expected))
