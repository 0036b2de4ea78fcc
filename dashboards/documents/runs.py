"""The overview: one document per run, also for what cannot be opened, with the way out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.run_store.layout import missing_parts
from nas.run_store.listing import unreadable_state
from nas.search.front_view import SMOKE_STAMP

from .plain import mapping, number, short, text, whole, without_folder
from .reading import TRAINED, Reading
from .volume import volume_series

SCHEMA = "nas.dash.run/1"
SERIES_POINTS = 40
"""Points of the line beside a run: as many as fit into a few centimetres."""


def run_document(reading: Reading) -> dict[str, Any]:
    """Return what the overview tells of a run."""
    if reading.is_study:
        return _study(reading)
    config = reading.run.config
    facts, uncertainty = reading.facts, reading.uncertainty
    trust = facts.trusted()
    return {
        **_head(reading),
        "kind": "search",
        "space": text(mapping(config.get("space")).get("name")),
        "data": _data_name(config),
        "preset": text(config.get("preset")),
        "sampler": text(mapping(config.get("search")).get("sampler")),
        "stamp": SMOKE_STAMP if config.get("preset") == "smoke" else None,
        "objectives": reading.objectives,
        "trials": trial_counts(reading),
        "front_size": len(uncertainty.front),
        "front": [_brief(reading, place) for place in uncertainty.front],
        "hypervolume": _volume(reading),
        "trust": {key: trust.get(key) for key in ("verdict", "front", "why")},
        "stages": stages(reading),
    }


def unreadable_document(folder: Path, name: str, error: NasError) -> dict[str, Any]:
    """Return what the overview tells of a run that cannot be opened.

    Args:
        folder: Where it lies.
        name: Name of its folder.
        error: What opening it said.
    """
    return {
        **_BLANK,
        "name": name,
        "kind": "unreadable",
        "state": unreadable_state(error),
        # Only the first line: what follows may tell paths of this machine.
        "problem": " ".join(filter(None, (error.what.partition("\n")[0], error.why))),
        "fix": without_folder(error.fix, folder),
        "created": "",
        "seq": -1,
        "seed": None,
        "stages": [],
    }


_BLANK: Mapping[str, Any] = {
    "schema": SCHEMA,
    "problem": None,
    "fix": None,
    **dict.fromkeys(("space", "data", "preset", "sampler", "stamp", "hypervolume")),
    "objectives": [],
    "trials": {"finished": 0, "failed": 0, "open": 0, "planned": None},
    "front_size": 0,
    "front": [],
    "trust": {"verdict": "unverified", "front": None, "why": None},
}


def runs_document(folder: Path, documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all runs of a folder, oldest first.

    Args:
        folder: Where they lie.
        documents: Of each run.
    """
    ordered = sorted(documents, key=lambda each: (str(each["created"]), str(each["name"])))
    return {"schema": "nas.dash.runs/1", "folder": folder.name, "runs": ordered}


def _head(reading: Reading) -> dict[str, Any]:
    outcome = mapping(reading.table.outcome)
    failed = reading.state == "failed"
    told = [text(outcome.get("reason")), text(outcome.get("message"))]
    problem = (": ".join(filter(None, told)) or None) if failed else None
    fix = next_step(reading)
    if missing := missing_parts(reading.run.path):
        problem = f"{' and '.join(missing)} missing; the log holds what was said there."
        fix = f"nas doctor {shlex.quote(reading.name)} --repair"
    return {
        **_BLANK,
        "name": reading.name,
        "state": reading.state,
        "problem": problem,
        "fix": fix,
        "created": reading.run.created,
        "seq": reading.seq,
        "seed": whole(reading.run.config.get("seed")),
    }


def next_step(reading: Reading) -> str | None:
    """Return what to type to go on with a run that stands still before its end."""
    command = "study" if reading.is_study else "resume"
    target = "FILE" if reading.is_study else shlex.quote(reading.name)
    still = ("interrupted", "created", "failed")
    return f"nas {command} {target}" if reading.state in still else None


def _study(reading: Reading) -> dict[str, Any]:
    return {
        **_head(reading),
        "kind": "study",
        "data": _data_name(reading.run.config),
        "stages": stages(reading),
    }


def _data_name(config: Mapping[str, Any]) -> str | None:
    """Return the name of the data, of several the names in a row."""
    data = config.get("data")
    if isinstance(data, list):
        return ", ".join(str(each) for each in data) or None
    return text(data)


def trial_counts(reading: Reading) -> dict[str, int | None]:
    """Return how many trials there are of each state, and how many there are to be."""
    states = [trial.state for trial in reading.trials]
    return {
        "finished": states.count("finished"),
        "failed": states.count("failed"),
        "open": states.count("asked"),
        "planned": planned(reading),
    }


def planned(reading: Reading) -> int | None:
    """Return how many trials a run is to have, None where its settings do not say."""
    first = whole(mapping(reading.run.config.get("search")).get("trials"))
    resumed = (record for record in reading.records if record["kind"] == "run_resumed")
    extra = sum(whole(record.get("extra_trials")) or 0 for record in resumed)
    return None if first is None else first + extra


def stages(reading: Reading) -> list[dict[str, Any]]:
    """Return the stages in the order they were begun, with the time that passed in each.

    The confirmation, often the longest, tells how many trainings it has finished.
    """
    trained = sum(record["kind"] in TRAINED for record in reading.records)
    spent: dict[str, list[float]] = {}
    for record in reading.records:
        if record["kind"] not in ("stage_finished", "stage_left"):
            continue
        seconds = number(record.get("wall_seconds", record.get("seconds")))
        if seconds is not None:
            spent.setdefault(str(record.get("stage")), []).append(seconds)
    return [
        {
            "name": name,
            "state": stage.state,
            "seconds": short(sum(spent[name])) if name in spent else None,
            "trainings": trained if name == "confirm" else None,
        }
        for name, stage in reading.table.stages.items()
    ]


def _brief(reading: Reading, place: int) -> dict[str, Any]:
    trial = reading.facts.finished[place]
    values = {name: trial.value(name) for name in trial.values}
    latency = next(
        (name for name in values if name.startswith("latency_ms") and "@" not in name), None
    )
    return {
        "trial": trial.number,
        "family": text(trial.extra.get("family")),
        "values": values,
        "latency_ms": values[latency] if latency else None,
    }


def _volume(reading: Reading) -> dict[str, Any] | None:
    """Return the volume of the front as recorded, its interval and how it grew.

    The interval is one of the shrunken values: it may lie below what was recorded, where luck has
    chosen points.
    """
    found = reading.uncertainty.volume()
    if found is None:
        return None
    series = [each["value"] for each in volume_series(reading, SERIES_POINTS)]
    return {
        "value": found["value"],
        "low": short(found["low"]),
        "high": short(found["high"]),
        "shrunken": short(found["shrunken"]),
        "series": [short(each) for each in series],
    }
