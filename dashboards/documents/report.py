"""The documents that the report of one run carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.run_store import Run

from .compare import compare_document
from .networks import baseline_document
from .reading import Reading
from .routes import BASE, COMPARE, reading_guard, run_part, run_path
from .runs import run_document, runs_document
from .trial import trial_document

FOLDER = "runs"
MOST_TRIALS = 300
"""Trials that a report carries whole; of more, those on the front or near it."""


def report_documents(run: Run) -> dict[str, dict[str, Any]]:
    """Return the documents of a run by their path.

    Args:
        run: The run, opened.

    Raises:
        RunError: If it is damaged, or its records do not fit together.
    """
    reading = Reading(run, alone=True)
    with reading_guard(reading.name):
        return _documents(reading)


def _documents(reading: Reading) -> dict[str, dict[str, Any]]:
    own = run_document(reading)
    found = {
        BASE: runs_document(Path(FOLDER), [own]),
        run_path(reading.name): own,
    }
    for name in _parts(reading):
        found[run_path(reading.name, name)] = run_part(reading, [name], {})
    if reading.is_study:
        return found
    for number in _trials(reading):
        found[run_path(reading.name, "trials", str(number))] = trial_document(reading, number)
    for key in reading.facts.candidates:
        if not key.startswith("trial-"):
            found |= _baseline(reading, key)
    found[f"{COMPARE}?runs={reading.name}"] = compare_document([reading])
    return found


def _baseline(reading: Reading, key: str) -> dict[str, dict[str, Any]]:
    """Return a network beside the front under its key, and under its name as the page knows it."""
    name = str(reading.facts.candidates[key].get("name", key))
    document = baseline_document(reading, key)
    return {run_path(reading.name, "baselines", each): document for each in (name, key)}


def _parts(reading: Reading) -> tuple[str, ...]:
    always = ("progress", "failures", "provenance")
    return always if reading.is_study else (*always, "front", "trials", "supernet", "space")


def _trials(reading: Reading) -> list[int]:
    """Return the trials to carry: all of a small run, else the front and who stands near it."""
    if len(reading.trials) <= MOST_TRIALS:
        return [trial.number for trial in reading.trials]
    near = [int(each["trial"]) for each in reading.front["near_front"]]
    best = [int(each["trial"]) for each in reading.front["best_per_pattern"]]
    return sorted({*reading.front_trials, *near, *best})
