"""Optuna with its storages on files: SQLite, and its journal under either of its locks."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import (
    JournalFileBackend,
    JournalFileOpenLock,
    JournalFileSymlinkLock,
)
from optuna.trial import FrozenTrial, Trial, TrialState

from reliability_sides.base import (
    ACKNOWLEDGED,
    EVALUATED,
    SEED,
    TRIAL_S,
    TRIALS,
    AbstractSide,
    Outcome,
    note,
    toy_values,
)

STORAGES = {
    "Optuna SQLite": "optuna.db",
    "Optuna journal (symlink lock)": "optuna.log",
    "Optuna journal (open lock)": "optuna.log",
}


@final
class OptunaSide(AbstractSide):
    """A study that is resumed as Optuna's documentation does: load it, run the missing trials.

    Args:
        name: One of `STORAGES`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.file = STORAGES[name]

    def storage(self, folder: Path) -> BaseStorage:
        """Open the storage; paths are absolute, as its documentation advises."""
        path = str(folder / self.file)
        if self.file.endswith(".db"):
            return RDBStorage(f"sqlite:///{path}")
        lock = JournalFileOpenLock if "open" in self.name else JournalFileSymlinkLock
        return JournalStorage(JournalFileBackend(path, lock_obj=lock(path)))

    def study(self, folder: Path, seed: int = SEED) -> optuna.Study:
        """Create the study or load it."""
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        return optuna.create_study(
            study_name="toy",
            storage=self.storage(folder),
            sampler=optuna.samplers.NSGAIISampler(seed=seed),
            directions=["minimize", "minimize"],
            load_if_exists=True,
        )

    def search(self, folder: Path) -> None:
        """Run the trials that are not complete; one is acknowledged when its callback is told."""
        study = self.study(folder)
        complete = sum(each.state == TrialState.COMPLETE for each in study.get_trials(False))

        def told(_: optuna.Study, trial: FrozenTrial) -> None:
            note(folder, ACKNOWLEDGED, [str(trial.number), list(trial.values), str(trial.number)])

        study.optimize(toy(folder), n_trials=max(0, TRIALS - complete), callbacks=[told])

    def outcome(self, folder: Path) -> Outcome:
        """Load the study and list its trials."""
        study = optuna.load_study(study_name="toy", storage=self.storage(folder))
        trials = study.get_trials(deepcopy=False)
        complete = [each for each in trials if each.state == TrialState.COMPLETE]
        return Outcome(
            {str(each.number): list(each.values) for each in complete},
            sum(each.state == TrialState.RUNNING for each in trials),
            0,
            [(each.number, each.values) for each in study.best_trials],
        )

    def unlock(self, folder: Path) -> None:
        """Remove the lock that a killed process left."""
        for left in (*folder.glob("*.lock"), *folder.glob("*.rename*")):
            left.unlink(missing_ok=True)


def toy(folder: Path) -> Callable[[Trial], Any]:
    """Return the toy objective as a function of a trial."""

    def objective(trial: Trial) -> tuple[float, float]:
        values = toy_values(trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1))
        time.sleep(TRIAL_S)
        note(folder, EVALUATED, str(trial.number))
        return values

    return objective
