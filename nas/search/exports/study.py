"""A run as an Optuna study: what each trial asked, got and broke, for Optuna's plots and dashboard.

Times are derived: trials lie one behind the other from the run's creation on, each as long as its
worker took; a log keeps order and durations, not the time of day.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from nas.errors import RunError
from nas.run_store import Run, Trial
from nas.run_store.layout import typed
from nas.search.confirm.view import confirmed_errors
from nas.search.driver import run_config
from nas.search.front.reading import Facts
from nas.search.samplers.study_file import StudyContent, StudyTrial, write_studies
from nas.search.settings.resolve import searched_space

UNMEASURED = "unmeasured"
"""Constraint that a trial breaks whose values could not be measured."""


def export_studies(runs: dict[str, Run], path: Path) -> int:
    """Write runs as studies into a new file; return the number of trials.

    Args:
        runs: Runs by the names of their studies.
        path: `.log` and `.journal` are Optuna's journal, anything else is SQLite.

    Raises:
        RunError: If a run is a study of nas, or its space cannot be had any more.
        EnvironmentFault: If the file cannot be written.
    """
    contents = [study_of(run, name) for name, run in runs.items()]
    write_studies(contents, path)
    return sum(len(content.trials) for content in contents)


def study_of(run: Run, name: str) -> StudyContent:
    """Return the content of a run's study."""
    space = searched_space(run_config(run))
    facts = Facts(run)
    finished = facts.finished[0].values if facts.finished else {}
    objectives = tuple(facts.names or finished)
    on_front = {facts.finished[place].number for place in facts.front()}
    errors = confirmed_errors(run)
    begin = _created(run)
    trials = []
    for number, trial in sorted(run.table().trials.items()):
        end = begin + timedelta(seconds=_duration(trial))
        trials.append(_trial(trial, objectives, errors, number in on_front, (begin, end)))
        begin = end
    return StudyContent(
        name=name,
        space=space,
        objectives=objectives,
        attributes={
            "nas run": run.name,
            "space": space.name,
            "data": str((run.environment.get("data") or {}).get("name")),
            "seed": run.config.get("seed"),
            "ranking": str(facts.trusted()["verdict"]),
        },
        trials=tuple(trials),
    )


def _created(run: Run) -> datetime:
    """Return when the run was created, in local time as Optuna writes it."""
    try:
        return datetime.fromisoformat(run.created).astimezone().replace(tzinfo=None)
    except ValueError as error:
        raise RunError(
            f"'{run.created[:40]}' is no time.",
            where=f"environment.json of run '{run.name}'",
            fix=f"Look with `nas doctor {typed(run.path)}`.",
        ) from error


def _duration(trial: Trial) -> float:
    parts = (trial.extra.get("seconds"), trial.extra.get("measuring_seconds"))
    return sum(float(part) for part in parts if isinstance(part, (int, float)))


def _trial(
    trial: Trial,
    names: tuple[str, ...],
    errors: dict[str, Any],
    on_front: bool,
    times: tuple[datetime, datetime],
) -> StudyTrial:
    extra = trial.extra
    attributes = {
        "trial": trial.number,
        "batch": trial.batch,
        "attempt": trial.attempt,
        **{key: extra.get(key) for key in ("wiring", "family", "proposed_by", "quantisation")},
        "architecture": extra.get("architecture_id"),
        **extra.get("measures", {}),
        "on front": on_front if trial.state == "finished" else None,
        "failure": trial.reason,
        "retrained test error": (errors.get(f"trial-{trial.number}") or {}).get(
            "error_confirmed_mean"
        ),
    }
    finished = trial.state == "finished"
    violations = {key: float(value) for key, value in extra.get("violations", {}).items()}
    if UNMEASURED in extra:
        violations[UNMEASURED] = 1.0
    return StudyTrial(
        state=trial.state,
        decisions=dict(trial.decisions or {}),
        values=tuple(trial.value(name) for name in names) if finished else None,
        violations=violations,
        attributes={key: value for key, value in attributes.items() if value is not None},
        started=times[0],
        ended=times[1] if trial.state != "asked" else None,
    )
