"""What a run measured, as named numbers in order: one reading for TensorBoard, MLflow and W&B."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, final

import numpy as np

from nas.pareto import hypervolume, non_dominated, reference_point
from nas.run_store import Run
from nas.search.front.reading import PREPARE, is_feasible

EPOCH: Final = "epoch"
FIRST_VOLUME: Final = 8
"""Feasible trials that set the reference point of the volume over time."""

_EPOCH_KEYS: Final = frozenset({"time", "kind", "stage", "epoch"})


@final
@dataclass(frozen=True)
class Scalar:
    """One number.

    Args:
        tag: What it is, such as `trials/error` or `supernet/loss`.
        step: Number of the trial, epoch or seed it belongs to.
        value: Finite.
        time: Seconds since 1970 where the run says when; None elsewhere.
    """

    tag: str
    step: int
    value: float
    time: float | None = None


@final
class ScalarReader:
    """Reads the numbers of a run, and later those that came since.

    Args:
        run: The run, opened for reading.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._records = 0
        self._notes = 0
        self._objectives: list[str] = []
        self._points: list[list[float]] = []
        self._corner: Any = None
        self._num_finished = 0

    def news(self) -> list[Scalar]:
        """Return what was recorded since the last call, in order."""
        return [each for each in self._news() if math.isfinite(each.value)]

    def _news(self) -> Iterator[Scalar]:
        notes = self.run.notes()
        for note in notes[self._notes :]:
            yield from _of_epoch(note)
        self._notes = len(notes)
        records = self.run.records()
        for record in records[self._records :]:
            yield from self._of_record(record)
        self._records = len(records)

    def _of_record(self, record: Mapping[str, Any]) -> Iterator[Scalar]:
        kind = record["kind"]
        if kind == "stage_finished" and record["stage"] == PREPARE:
            self._objectives = [str(each["name"]) for each in record.get("objectives", [])]
        elif kind == "trial_finished":
            yield from self._of_trial(record)
        elif kind in ("confirm_validated", "confirm_finished"):
            yield from _of_training(record)

    def _of_trial(self, record: Mapping[str, Any]) -> Iterator[Scalar]:
        number = int(record["trial"])
        for name, value in record["values"].items():
            yield Scalar(f"trials/{name}", number, float(value["value"]))
        for name, count in record.get("measures", {}).items():
            if name not in record["values"]:
                yield Scalar(f"trials/{name}", number, float(count))
        self._num_finished += 1
        violations = record.get("violations", {})
        if all(float(value) <= 0 for value in violations.values()) and self._objectives:
            values = [float(record["values"][name]["value"]) for name in self._objectives]
            yield from self._of_front(values)

    def _of_front(self, values: list[float]) -> Iterator[Scalar]:
        """Return the best so far and the volume, by the number of finished trials."""
        self._points.append(values)
        array = np.array(self._points)
        for name, best in zip(self._objectives, array.min(axis=0), strict=True):
            yield Scalar(f"best/{name}", self._num_finished, float(best))
        if len(self._objectives) < 2:
            return
        if self._corner is None:
            if len(array) < FIRST_VOLUME:
                return
            self._corner = reference_point(array)
        # Only these matter from here on: memory and time stay those of a front.
        self._points = array[np.flatnonzero(non_dominated(array))].tolist()
        volume = hypervolume(np.array(self._points), self._corner)
        yield Scalar("front/hypervolume", self._num_finished, volume)
        yield Scalar("front/size", self._num_finished, float(len(self._points)))


def _of_epoch(note: Mapping[str, Any]) -> Iterator[Scalar]:
    """Return the numbers of one epoch of a training of shared weights."""
    if note.get("kind") != EPOCH or not isinstance(note.get("epoch"), int):
        return
    time = _seconds(note.get("time"))
    for name, value in note.items():
        if name not in _EPOCH_KEYS and _is_number(value):
            yield Scalar(f"{note.get('stage')}/{name}", note["epoch"], float(value), time)


def _of_training(record: Mapping[str, Any]) -> Iterator[Scalar]:
    """Return the numbers of one network trained from scratch."""
    head = f"confirm/{record['name']}/{record.get('recipe_hash', '')}"
    index = int(record.get("seed_index", 0))
    for name in ("validation_error", "test_error", "train_loss"):
        if _is_number(record.get(name)):
            yield Scalar(f"{head}/{name}", index, float(record[name]))
    losses = record.get("losses")
    for epoch, loss in enumerate(losses if isinstance(losses, list) else []):
        if _is_number(loss):
            part = "b" if record["kind"] == "confirm_finished" else "a"
            yield Scalar(f"{head}/loss seed {part}{index}", epoch + 1, float(loss))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _seconds(time: object) -> float | None:
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return None


def summary(run: Run) -> dict[str, str]:
    """Return what a run is, as short texts: for the tags and parameters of other tools."""
    found: dict[str, str] = {}
    environment = run.environment
    for part, name in (("space", "name"), ("data", "name"), ("data", "fingerprint")):
        fields = environment.get(part)
        if isinstance(fields, Mapping) and fields.get(name) is not None:
            found[part if name == "name" else f"{part}_{name}"] = str(fields[name])
    for name in ("seed", "preset", "device"):
        value = run.config.get(name, environment.get(name))
        if value is not None:
            found[name] = str(value)
    table = run.table()
    found["run"] = run.name
    found["state"] = run.state()
    found["trials_finished"] = str(len(table.finished()))
    found["trials_feasible"] = str(sum(map(is_feasible, table.finished())))
    return found
