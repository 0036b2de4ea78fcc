"""A file that Optuna opens: studies of finished searches, written anew and never read back.

A question has one parameter where it always offers the same options, named as the space names it;
where the options depend on other answers each set of options is a parameter of its own, as for the
samplers (`nas.search.samplers.encoding`).
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, final

import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.errors import EnvironmentFault, RunError
from nas.search.samplers.encoding import distributions, encode, quiet_optuna
from nas.space import AbstractSpace, Decisions

JOURNALS: Final = (".log", ".journal")
"""Endings of files that are written as Optuna's journal; every other one is SQLite."""

_STATES: Final = {
    "finished": TrialState.COMPLETE,
    "failed": TrialState.FAIL,
    "asked": TrialState.RUNNING,
}


@final
@dataclass(frozen=True)
class StudyTrial:
    """One trial of a study.

    Args:
        state: `finished`, `failed` or `asked`.
        decisions: The member.
        values: Its objectives, to be minimised; None unless finished.
        violations: Per constraint, by how much it is exceeded; 0 or less is met.
        attributes: Plain JSON for people.
        started: Local time.
        ended: Local time, None while it is open.
    """

    state: str
    decisions: Decisions
    values: tuple[float, ...] | None
    violations: Mapping[str, float]
    attributes: Mapping[str, Any]
    started: datetime
    ended: datetime | None


@final
@dataclass(frozen=True)
class StudyContent:
    """One study: the trials of one search, in their order."""

    name: str
    space: AbstractSpace
    objectives: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[StudyTrial, ...] = ()


def write_studies(contents: Sequence[StudyContent], path: Path) -> None:
    """Write studies into a new file, whole or not at all.

    Args:
        contents: The studies, their names different.
        path: Where to; its folder exists and it does not.

    Raises:
        RunError: If a trial's decisions are none of its space.
        EnvironmentFault: If the file cannot be written.
    """
    frozen = [(content, _frozen_trials(content)) for content in contents]
    try:
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=path.parent) as folder:
            made = Path(folder) / path.name
            with quiet_optuna():
                _fill(made, frozen)
            made.chmod(0o600)
            os.link(made, path)  # unlike a rename it replaces nothing
    except OSError as error:
        raise EnvironmentFault(
            f"{path} cannot be written: {error.strerror or error}.",
            fix="Name a new file in a folder with room that you may write.",
        ) from error


def _fill(path: Path, frozen: Sequence[tuple[StudyContent, list[FrozenTrial]]]) -> None:
    storage = _storage(path)
    for content, trials in frozen:
        study = optuna.create_study(
            study_name=content.name,
            storage=storage,
            directions=["minimize"] * max(1, len(content.objectives)),
        )
        if content.objectives:
            study.set_metric_names(list(content.objectives))
        for key, value in content.attributes.items():
            study.set_user_attr(key, value)
        study.add_trials(trials)
    if isinstance(storage, optuna.storages.RDBStorage):
        storage.engine.dispose()  # else the file stays open, with what was not yet written


def _storage(path: Path) -> optuna.storages.BaseStorage:
    if path.suffix.lower() in JOURNALS:
        from optuna.storages.journal import JournalFileBackend

        return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    # The file is private until it is whole, so nothing has to be flushed before that.
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    from sqlalchemy import event

    @event.listens_for(storage.engine, "connect")
    def _unflushed(connection: Any, record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=MEMORY")

    storage.engine.dispose()
    return storage


def _frozen_trials(content: StudyContent) -> list[FrozenTrial]:
    known = distributions(content.space.choices)
    names = short_names(list(known))
    found = []
    for number, trial in enumerate(content.trials):
        try:
            parameters = encode(content.space, trial.decisions)
            asked = {names[name]: known[name] for name in parameters}
        except KeyError as error:
            raise RunError(
                f"The decisions of trial {number} of '{content.name}' are none of its space.",
                why=f"There is no question {str(error)[:120]}.",
                fix="Export it with the version of nas and the plugins that made the run.",
            ) from error
        found.append(
            FrozenTrial(
                number=number,
                trial_id=number,
                state=_STATES[trial.state],
                value=None,
                values=list(trial.values) if trial.values is not None else None,
                datetime_start=trial.started,
                datetime_complete=trial.ended,
                params={names[name]: value for name, value in parameters.items()},
                distributions=asked,
                user_attrs=dict(trial.attributes),
                system_attrs=_constraints(trial),
                intermediate_values={},
            )
        )
    return found


def _constraints(trial: StudyTrial) -> dict[str, Any]:
    """Return violations as Optuna keeps them, which one trial made by its own function tells."""
    if trial.values is None or not trial.violations:
        return {}
    told = optuna.trial.create_trial(values=[0.0], constraints=dict(trial.violations))
    return dict(told.system_attrs)


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return, per parameter, the name of its question where no other has the same one."""
    questions = {name: name.partition("=")[0] for name in names}
    counts = Counter(questions.values())
    return {
        name: question if counts[question] == 1 else name for name, question in questions.items()
    }
