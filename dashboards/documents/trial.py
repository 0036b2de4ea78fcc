"""One trial: its numbers and where they come from, its wiring, its relatives, its commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np

from nas.errors import NasError
from nas.run_store import Trial
from nas.search.front.errors import bar

from .architecture import architecture_document
from .decisions import changes
from .gates import Gates, gated_edges
from .networks import images_of, trial_network
from .plain import items, mapping, number, short, text, whole
from .reading import TRAINED, Reading
from .trials import STATES, reason_of, value_error

SCHEMA = "nas.dash.trial/1"
MOST_NEIGHBOURS = 8
NEAREST = "nearest earlier trial"


def trial_document(reading: Reading, number_: int) -> dict[str, Any]:
    """Return everything the run knows of a trial.

    Args:
        reading: The run.
        number_: The trial.

    Raises:
        NotFoundError: If there is none of that number.
    """
    trial = reading.trial(number_)
    extra = trial.extra
    reason = reason_of(trial)
    unmeasured = mapping(extra.get("unmeasured"))
    message = trial.message or text(unmeasured.get("message"))
    architecture, problem = _architecture(reading, trial)
    return {
        "schema": SCHEMA,
        "run": reading.name,
        "trial": trial.number,
        "state": STATES[trial.state],
        "attempts": trial.attempt,
        "wiring": text(extra.get("wiring")),
        "family": text(extra.get("family")),
        "proposed_by": text(extra.get("proposed_by")),
        "values": {name: _value(trial, name) for name in trial.values},
        "decisions": dict(mapping(trial.decisions)),
        "measurements": {
            name: dict(mapping(found)) for name, found in mapping(extra.get("measurements")).items()
        },
        "inherited": _inherited(trial),
        "confirmed": _confirmed(reading, trial),
        "curves": _curves(reading, trial),
        "lineage": _lineage(reading, trial),
        "neighbours": _neighbours(reading, trial),
        "duplicates": _duplicates(reading, trial),
        "failure": {"reason": reason, "message": message} if reason else None,
        "architecture": architecture,
        "architecture_problem": problem,
        "commands": _commands(reading, trial),
    }


def _value(trial: Trial, name: str) -> dict[str, Any]:
    value = trial.values[name]
    error = value_error(trial, name)
    low, high = bar(trial.value(name), error)
    return {
        "value": trial.value(name),
        "unit": text(value.get("unit")),
        "source": text(value.get("source")),
        "low": short(low),
        "high": short(high),
    }


def _inherited(trial: Trial) -> dict[str, float] | None:
    """Return the numbers of the inherited score, that without recalibration included."""
    found = mapping(trial.extra.get("inherited"))
    plain = {name: number(value) for name, value in found.items()}
    for name, value in mapping(found.get("uncalibrated")).items():
        plain[f"uncalibrated {name}"] = number(value)
    known = {name: value for name, value in plain.items() if value is not None}
    return known or None


def _confirmed(reading: Reading, trial: Trial) -> dict[str, Any] | None:
    found = reading.facts.confirmed.get(f"trial-{trial.number}", {})
    if found.get("error_confirmed_mean") is None:
        return None
    return {
        "error_mean": found["error_confirmed_mean"],
        "error_std": found["error_confirmed_std"],
        "count": found["confirmed_seeds"],
    }


def _curves(reading: Reading, trial: Trial) -> list[dict[str, Any]]:
    """Return the trainings of a trial's network alone, with the loss of every epoch."""
    found = []
    for record in reading.records:
        if record["kind"] not in TRAINED or record.get("candidate") != f"trial-{trial.number}":
            continue
        judged = record["kind"] == "confirm_finished"
        losses = [number(value) for value in items(record.get("losses"))]
        found.append(
            {
                "purpose": str(record.get("purpose")),
                "seed_index": whole(record.get("seed_index")) or 0,
                "recipe_hash": str(record.get("recipe_hash")),
                "losses": [value for value in losses if value is not None],
                "error": number(record.get("test_error" if judged else "validation_error")),
                "part": "test" if judged else "validation",
            }
        )
    return found


# ---------------------------------------------------------------- relatives


def _lineage(reading: Reading, trial: Trial) -> list[dict[str, Any]]:
    """Return where a trial comes from: recorded parents, else the nearest earlier trial."""
    recorded = [
        parent
        for parent in _recorded_parents(trial)
        if parent in reading.table.trials and parent != trial.number
    ]
    if recorded:
        return [_relative(reading, trial, parent, "parent, as recorded") for parent in recorded]
    table = reading.decisions
    row = table.row(trial.number)
    if row == 0 or not mapping(trial.decisions):
        return []
    earlier = table.distances(row)[:row]
    nearest = int(np.argmin(earlier))
    return [_relative(reading, trial, int(table.numbers[nearest]), NEAREST)]


def _recorded_parents(trial: Trial) -> list[int]:
    """Return the parents that the proposal names, as the sampler told them."""
    found = [whole(each) for each in items(trial.extra.get("parents"))]
    return [each for each in dict.fromkeys(found) if each is not None]


def _relative(reading: Reading, trial: Trial, other: int, relation: str) -> dict[str, Any]:
    before = reading.table.trials[other].decisions
    return {"trial": other, "relation": relation, "changes": changes(before, trial.decisions)}


def _neighbours(reading: Reading, trial: Trial) -> list[dict[str, Any]]:
    """Return the trials that differ in the fewest decisions; those of the front first."""
    if not mapping(trial.decisions):
        return []
    table, front = reading.decisions, reading.front_trials
    row = table.row(trial.number)
    distances = table.distances(row)
    behind = np.array([number_ not in front for number_ in table.numbers.tolist()])
    order = np.lexsort((table.numbers, behind, distances))
    chosen = [int(place) for place in order if place != row][:MOST_NEIGHBOURS]
    return [
        {
            "trial": int(table.numbers[place]),
            "changes": changes(trial.decisions, table.trials[place].decisions),
            "on_front": not behind[place],
        }
        for place in chosen
    ]


def _duplicates(reading: Reading, trial: Trial) -> list[int]:
    """Return the other trials that are the same network."""
    first = reading.replays.get(trial.number, trial.number)
    same = {first, *(number_ for number_, of in reading.replays.items() if of == first)}
    return sorted(same - {trial.number})


# ---------------------------------------------------------------- the network


def _architecture(reading: Reading, trial: Trial) -> tuple[dict[str, Any] | None, str | None]:
    """Return the network as it is drawn; where it is damaged, what is wrong instead."""
    try:
        shape, classes = images_of(reading)
        document = architecture_document(
            trial_network(reading, trial),
            shape,
            classes,
            identity=text(trial.extra.get("architecture_id")),
            latencies=_node_latencies(reading, trial.number),
        )
    except NasError as error:
        return None, error.what
    gates = reading.gates
    if gates is not None:
        _set_gates(document, gates, mapping(trial.decisions))
    return document, None


def _set_gates(document: Mapping[str, Any], gates: Gates, decisions: Mapping[str, Any]) -> None:
    found = {
        each.edge: gates.last(each.choice, each.option) for each in gated_edges(document, decisions)
    }
    for edge in document["edges"]:
        edge["gate"] = found.get(edge["id"])


def _node_latencies(reading: Reading, trial: int) -> dict[str, float]:
    """Return the measured milliseconds of each node, as the last such record tells them."""
    found: dict[str, float] = {}
    for record in reading.records:
        if record["kind"] == "trial_nodes_timed" and record.get("trial") == trial:
            known = {str(key): number(value) for key, value in mapping(record.get("nodes")).items()}
            found = {key: value for key, value in known.items() if value is not None}
    return found


def _commands(reading: Reading, trial: Trial) -> dict[str, str]:
    """Return what to type for a trial, by what it does."""
    source = shlex.quote(f"{reading.name}:{trial.number}")
    stem = f"trial-{trial.number}"
    return {
        "show it in the terminal": f"nas arch show {source}",
        "draw it": f"nas arch draw {source} -o {stem}.svg",
        "export it as ONNX": f"nas arch export {source} --format onnx -o {stem}.onnx",
        "export it as readable PyTorch": f"nas arch export {source} --format source -o {stem}",
        "train it from scratch": f"nas arch train {source}",
        "run it on images": f"nas predict {source} FOLDER",
    }
