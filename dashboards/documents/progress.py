"""How a search is going: trials, rate, time left, hypervolume, workers, and the last notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nas.run_store import Trial

from .plain import mapping, number, short, text, whole
from .reading import Reading
from .runs import planned, stages, trial_counts
from .volume import volume_series

SCHEMA = "nas.dash.progress/1"
VOLUME_POINTS = 60
MOST_NOTES = 100
MOST_SAMPLES = 500
LAST_TRIALS = 50
"""Trials that the rate is read from: what came early took longer or shorter."""


def progress_document(reading: Reading) -> dict[str, Any]:
    """Return how a search is going, or went."""
    rate = _rate(reading)
    study = reading.is_study
    return {
        "schema": SCHEMA,
        "seq": reading.seq,
        "state": reading.state,
        "owner": str(reading.owner) if reading.owner else None,
        "stages": stages(reading),
        "trials": {**trial_counts(reading), "duplicates": _duplicates(reading)},
        "failures": reading.table.failures_by_reason(),
        "trials_per_second": short(rate),
        "seconds_left": short(_seconds_left(reading, rate)),
        "hypervolume": [] if study else volume_series(reading, VOLUME_POINTS, spread=True),
        "workers": _workers(reading),
        "notes": _notes(reading),
    }


def _duplicates(reading: Reading) -> int:
    return sum(bool(each.get("duplicate")) for each in reading.entries)


def _rate(reading: Reading) -> float | None:
    """Return finished trials per second: of the whole stage where it is over, else of late.

    Records carry no times of day. While a search runs, the rate follows from what the last trials
    took, spread over the workers, and from their measurements, which nothing runs beside.
    """
    finished = [trial for trial in reading.trials if trial.state != "asked"]
    stage = reading.table.stages.get("explore")
    if stage is None or not finished:
        return None
    spent = next(each["seconds"] for each in stages(reading) if each["name"] == "explore")
    if stage.state == "finished" and spent:
        return len(finished) / float(spent)
    cost = _seconds_per_trial(finished[-LAST_TRIALS:], _last_workers(reading))
    return 1 / cost if cost else None


def _seconds_per_trial(trials: list[Trial], workers: int) -> float:
    own = sum(number(trial.extra.get("seconds")) or 0.0 for trial in trials)
    measuring = sum(number(trial.extra.get("measuring_seconds")) or 0.0 for trial in trials)
    return (own / workers + measuring) / len(trials)


def _last_workers(reading: Reading) -> int:
    known = [each["workers"] for each in _workers(reading) if each["workers"]]
    configured = whole(mapping(reading.run.config.get("executor")).get("workers"))
    return max(1, known[-1] if known else configured or 1)


def _seconds_left(reading: Reading, rate: float | None) -> float | None:
    """Return how long the trials that are left will take, None unless the search is at them."""
    stage, wanted = reading.table.stages.get("explore"), planned(reading)
    at_it = reading.state == "running" and stage is not None and stage.state == "started"
    if not at_it or not rate or wanted is None:
        return None
    done = sum(trial.state != "asked" for trial in reading.trials)
    return max(0, wanted - done) / rate


def _workers(reading: Reading) -> list[dict[str, Any]]:
    found = [
        {
            "time": text(note.get("time")) or "",
            "workers": whole(note.get("workers")),
            "memory_mb": number(note.get("memory_mb")),
            "worker_memory_mb": number(note.get("worker_memory_mb")),
        }
        for note in reading.notes
        if note.get("kind") == "workers"
    ]
    every = -(-len(found) // MOST_SAMPLES) or 1
    return found[::-1][::every][::-1]


def _notes(reading: Reading) -> list[dict[str, Any]]:
    """Return the last notes in words; a kind this version does not know shows its fields."""
    silent = ("gates", "gate_options", "workers")
    shown = [note for note in reading.notes if note.get("kind") not in silent]
    return [
        {
            "time": text(note.get("time")) or "",
            "kind": str(note.get("kind")),
            "text": _WORDS.get(str(note.get("kind")), _fields)(note),
        }
        for note in shown[-MOST_NOTES:]
    ]


def _epoch(note: Mapping[str, Any]) -> str:
    loss = number(note.get("loss"))
    told = "unknown" if loss is None else f"{loss:.4g} nats"
    return f"{note.get('stage')}: epoch {note.get('epoch')}, loss {told}"


def _alarm(note: Mapping[str, Any]) -> str:
    return f"{note.get('stage')}: epoch {note.get('epoch')}, {note.get('alarm')}"


def _fields(note: Mapping[str, Any]) -> str:
    own = {key: value for key, value in note.items() if key not in ("time", "kind")}
    return ", ".join(f"{key} {str(value)[:200]}" for key, value in own.items())[:500]


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {"epoch": _epoch, "alarm": _alarm}
