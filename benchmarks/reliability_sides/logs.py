"""Damage to the files in which trials are kept: torn at every byte, and single bits flipped."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, final

import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from nas.run_store import Run

RECORDS = 5
"""Trials in the small logs that are torn and flipped."""


class Kept(Protocol):
    """Trials in one file."""

    name: str
    file: str

    def make(self, folder: Path) -> None:
        """Write `RECORDS` trials into an empty folder."""

    def read(self, folder: Path) -> Any:
        """Return all trials as plain data."""

    def append(self, folder: Path) -> Any:
        """Open as who goes on with it does, add one trial, and return all trials."""


def _trial(number: int) -> dict[str, Any]:
    return {"x": number / 7, "y": 1 - number / 9}


@final
class OurLog:
    """The log of a run folder."""

    name = "nas trials.log"
    file = "toy/trials.log"

    def make(self, folder: Path) -> None:
        """Create a run with finished trials."""
        with Run.create(folder, "toy", {"n": 1}, {}) as run:
            for number in range(RECORDS):
                self._add(run, number)

    def _add(self, run: Run, number: int) -> None:
        asked = {"kind": "trial_asked", "trial": number, "attempt": 1, "batch": number}
        run.append({**asked, "decisions": _trial(number), "architecture": f"a{number}"})
        values = {key: {"value": value} for key, value in _trial(number).items()}
        done = {"kind": "trial_finished", "trial": number, "attempt": 1, "values": values}
        run.append(done)

    def read(self, folder: Path) -> Any:
        """Open the run for reading."""
        table = Run.open(folder / "toy").table()
        return [(each.number, dict(each.decisions), each.values) for each in table.finished()]

    def append(self, folder: Path) -> Any:
        """Open the run as its owner and close one more trial."""
        with Run.open(folder / "toy", write=True) as run:
            self._add(run, max(run.table().trials, default=-1) + 1)
        return self.read(folder)


@final
class OptunaFile:
    """A storage of Optuna in one file."""

    def __init__(self, name: str, file: str) -> None:
        self.name = name
        self.file = file

    def _study(self, folder: Path) -> optuna.Study:
        path = str(folder / self.file)
        storage: Any
        if self.file.endswith(".db"):
            storage = RDBStorage(f"sqlite:///{path}")
        else:
            lock = JournalFileOpenLock(path)
            storage = JournalStorage(JournalFileBackend(path, lock_obj=lock))
        return optuna.create_study(
            study_name="toy",
            storage=storage,
            directions=["minimize", "minimize"],
            load_if_exists=True,
        )

    def make(self, folder: Path) -> None:
        """Create a study with finished trials."""
        study = self._study(folder)
        for number in range(RECORDS):
            self._add(study, number)

    def _add(self, study: optuna.Study, number: int) -> None:
        values = _trial(number)
        spread = {key: optuna.distributions.FloatDistribution(-1, 2) for key in values}
        study.add_trial(
            optuna.trial.create_trial(
                params=values, distributions=spread, values=list(values.values())
            )
        )

    def read(self, folder: Path) -> Any:
        """Load the study."""
        trials = self._study(folder).get_trials(deepcopy=False)
        return [(each.number, each.params, each.values) for each in trials if each.values]

    def append(self, folder: Path) -> Any:
        """Load the study and add one trial."""
        study = self._study(folder)
        self._add(study, len(study.get_trials(deepcopy=False)))
        return self.read(folder)


KINDS: list[Kept] = [
    OurLog(),
    OptunaFile("Optuna journal", "optuna.log"),
    OptunaFile("Optuna SQLite", "optuna.db"),
]


def tear(kind: Kept, root: Path, step: int) -> dict[str, Any]:
    """Cut the file at every `step`-th byte; then read, append and read again, three times over."""
    whole = root / "whole"
    whole.mkdir(parents=True)
    kind.make(whole)
    content = (whole / kind.file).read_bytes()
    trials = kind.read(whole)
    found: Counter[str] = Counter()
    for size in range(1, len(content), step):
        folder = root / "cut"
        shutil.copytree(whole, folder)
        (folder / kind.file).write_bytes(content[:size])
        found["cuts"] += 1
        found["whole"] += _goes_on(kind, folder, trials)
        shutil.rmtree(folder)
    return {"side": kind.name, "bytes": len(content), **found}


def _goes_on(kind: Kept, folder: Path, trials: list[Any]) -> bool:
    """Tell whether what was left of the trials is kept, and grows by one with every opening."""
    try:
        left = kind.read(folder)
        if left != trials[: len(left)]:
            return False
        for number in range(3):
            now = kind.append(folder)
            if now[: len(left)] != left or len(now) != len(left) + number + 1:
                return False
    except Exception:
        return False
    return True


def flip(kind: Kept, root: Path, count: int, seed: int) -> dict[str, Any]:
    """Flip one bit of the file, many times over, and read what the file then says."""
    root.mkdir(parents=True)
    kind.make(root)
    path = root / kind.file
    content = path.read_bytes()
    trials = kind.read(root)
    rng = random.Random(seed)
    found: Counter[str] = Counter(refused=0, harmless=0, silent=0)
    for _ in range(count):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        found[verdict(lambda: kind.read(root) == trials)] += 1
    return {"side": kind.name, "flips": count, **found}


def verdict(unchanged: Callable[[], bool]) -> str:
    """Return `refused` if reading fails, `harmless` if all is as before, else `silent`."""
    try:
        return "harmless" if unchanged() else "silent"
    except Exception:
        return "refused"
