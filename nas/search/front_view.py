"""The front of a run as data: `front.json`, `front.csv` and `trials.parquet`, made from the log.

Pure functions of the records, so that a view made twice has the same bytes. The points are the
non-dominated feasible trials in the searched objectives; what the confirmation found stands beside
them and never chooses among them.

Inherited scores are compared within each family, or across families by the calibrated scores where
the verdict of `nas supernet rank` trusts these. The document's `trust` says which, and
`unverified` where there is no verdict.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, final

import numpy as np

from nas.errors import RunError
from nas.pareto import best_per_group, front
from nas.run_store import Run, Trial, register_view
from nas.search.ledger import ledger_document
from nas.search.trust import (
    CALIBRATED,
    COMPUTED,
    NOT_INHERITED,
    PER_FAMILY,
    Trust,
)

SCHEMA: Final = "nas.front/1"
SMOKE_STAMP: Final = "smoke, not evidence"
PREPARE: Final = "prepare"
_COLUMNS: Final = (
    "trial",
    "architecture",
    "wiring",
    "error_inherited",
    "error_confirmed_mean",
    "error_confirmed_std",
    "parameters",
    "macs",
    "latency_ms",
    "latency_iqr_ms",
    "family",
    "cross_entropy_calibrated",
)
_INHERITED: Final = ("cross_entropy", "error")


def front_document(run: Run, *, calibrated: bool = False) -> dict[str, Any]:
    """Return the front of a run, schema `nas.front/1`; empty lists while nothing is finished.

    Args:
        run: The run.
        calibrated: Compare calibrated scores across families even where the verdict does not
            trust them.

    Raises:
        RunError: If `calibrated` is asked for and the run has no calibration.
    """
    facts = _Facts(run, calibrated)
    positions = facts.front()
    return {
        "schema": SCHEMA,
        "run": run.name,
        "objectives": facts.objectives,
        "stamp": SMOKE_STAMP if run.config.get("preset") == "smoke" else None,
        "trust": facts.trusted(),
        "points": [facts.point(facts.finished[position]) for position in positions],
        "best_per_pattern": facts.best_per_pattern(),
        "baselines": facts.baselines(),
        "simple_baselines": facts.simple_baselines(),
        "ledger": ledger_document(run),
    }


def front_trials(run: Run) -> list[Trial]:
    """Return the trials on the front, best first objective first."""
    facts = _Facts(run)
    return [facts.finished[position] for position in facts.front()]


def is_feasible(trial: Trial) -> bool:
    """Tell whether a finished trial keeps every constraint, as its record says."""
    return all(float(value) <= 0 for value in trial.extra.get("violations", {}).values())


@final
class _Facts:
    """What the log of a run says, arranged for a front."""

    def __init__(self, run: Run, calibrated: bool = False) -> None:
        table = run.table()
        records = run.records()
        self.trust = Trust.read(table, records)
        if calibrated and self.trust.calibration is None:
            raise _no_calibration(run)
        prepared = table.stages.get(PREPARE)
        self.objectives: list[dict[str, Any]] = (
            [dict(each) for each in prepared.finish.get("objectives", [])] if prepared else []
        )
        self.finished = table.finished()
        self._trainings: dict[str, list[Mapping[str, Any]]] = {}
        for record in table.confirms:
            self._trainings.setdefault(str(record["candidate"]), []).append(record)
        self._candidates: dict[str, Mapping[str, Any]] = {}
        self._measured: dict[str, Mapping[str, Any]] = {}
        self._simple: Mapping[str, Any] = {}
        for record in records:
            self._read(record)
        self.basis = self._basis(calibrated)

    def _basis(self, calibrated: bool) -> str:
        """Return what the front compares."""
        if not set(self._names) & set(_INHERITED):
            return COMPUTED
        if calibrated or self.trust.across:
            return CALIBRATED
        return PER_FAMILY

    def trusted(self) -> dict[str, Any]:
        """Return the verdict on the ranking, and what the front compares because of it."""
        if self.basis == COMPUTED:
            return {"verdict": NOT_INHERITED, "why": None, "front": COMPUTED, "left_out": 0}
        left_out = 0
        if self.basis == CALIBRATED:
            left_out = sum(self.trust.calibrated(trial) is None for trial in self.finished)
        return {
            "verdict": self.trust.verdict,
            "why": self.trust.why,
            "front": self.basis,
            "left_out": left_out,
        }

    def _read(self, record: Mapping[str, Any]) -> None:
        if record["kind"] == "confirm_planned":
            # The last plan alone says who stands beside the front.
            self._candidates = {str(each["key"]): each for each in record["candidates"]}
        elif record["kind"] == "confirm_measured":
            self._measured[str(record["candidate"])] = record
        elif record["kind"] == "simple_baselines":
            self._simple = record

    @property
    def _names(self) -> list[str]:
        return [str(each["name"]) for each in self.objectives]

    def _values(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        rows = [[trial.value(name) for name in self._names] for trial in self.finished]
        return np.array(rows, dtype=np.float64).reshape(len(rows), max(1, len(self._names)))

    def front(self) -> list[int]:
        """Return the positions of the front among the finished trials."""
        if not self.finished or not self.objectives:
            return []
        everything = range(len(self.finished))
        if self.basis == CALIBRATED:
            return self._calibrated_front()
        if self.basis != PER_FAMILY:
            return self._front_of(everything, self._values())
        families = [str(trial.extra.get("family", "")) for trial in self.finished]
        found = [
            place
            for family in sorted(set(families))
            for place in self._front_of(
                [each for each in everything if families[each] == family], self._values()
            )
        ]
        return sorted(found, key=lambda place: self.finished[place].value(self._names[0]))

    def _calibrated_front(self) -> list[int]:
        """Return the front with one calibrated cross-entropy in place of the inherited scores."""
        scores = [self.trust.calibrated(trial) for trial in self.finished]
        places = [place for place, score in enumerate(scores) if score is not None]
        raw, names = self._values(), self._names
        kept = [column for column, name in enumerate(names) if name not in _INHERITED]
        first = next(column for column, name in enumerate(names) if name in _INHERITED)
        raw[:, first] = [math.inf if score is None else score for score in scores]
        return self._front_of(places, raw[:, sorted([first, *kept])])

    def _front_of(
        self, places: Sequence[int], values: np.ndarray[Any, np.dtype[np.float64]]
    ) -> list[int]:
        """Return which of some finished trials no other of them dominates."""
        if not places:
            return []
        chosen = [self.finished[place] for place in places]
        found = front(
            values[list(places)],
            indices=[trial.number for trial in chosen],
            feasible=np.array([is_feasible(trial) for trial in chosen]),
        )
        return [places[int(place)] for place in found]

    def best_per_pattern(self) -> list[dict[str, Any]]:
        """Return, per family of wirings, its feasible trial with the best first objective."""
        if not self.finished or not self.objectives:
            return []
        best = best_per_group(
            self._values(),
            [str(trial.extra.get("family", "")) for trial in self.finished],
            indices=[trial.number for trial in self.finished],
            feasible=np.array([is_feasible(trial) for trial in self.finished]),
        )
        return [
            {"pattern": family, **self.point(self.finished[place])}
            for family, place in sorted(best.items(), key=lambda item: str(item[0]))
        ]

    def point(self, trial: Trial) -> dict[str, Any]:
        """Return one trial as a point."""
        inherited = trial.extra.get("inherited") or {}
        return {
            "trial": trial.number,
            "architecture": trial.extra.get("architecture_id"),
            "wiring": trial.extra.get("wiring"),
            "family": trial.extra.get("family"),
            "objectives": {name: dict(trial.values[name]) for name in self._names},
            "error_inherited": inherited.get("error"),
            "cross_entropy_calibrated": self.trust.calibrated(trial),
            **self._confirmed(f"trial-{trial.number}"),
            "parameters": trial.extra["measures"]["parameters"],
            "macs": trial.extra["measures"]["macs"],
            **_latency(trial.values),
        }

    def baselines(self) -> list[dict[str, Any]]:
        """Return the networks that were trained beside the front."""
        return [
            self._baseline(key, candidate)
            for key, candidate in self._candidates.items()
            if candidate["kind"] != "front"
        ]

    def _baseline(self, key: str, candidate: Mapping[str, Any]) -> dict[str, Any]:
        measured = self._measured.get(key, {})
        measures = measured.get("measures", {})
        return {
            "name": candidate["name"],
            "kind": candidate["kind"],
            "trial": None,
            "architecture": candidate["architecture_id"],
            "wiring": candidate["wiring"],
            "family": None,
            "objectives": dict(measured.get("values", {})),
            "error_inherited": None,
            "cross_entropy_calibrated": None,
            **self._confirmed(key),
            "parameters": measures.get("parameters"),
            "macs": measures.get("macs"),
            **_latency(measured.get("values", {})),
        }

    def _confirmed(self, key: str) -> dict[str, Any]:
        errors = [float(record["test_error"]) for record in self._trainings.get(key, [])]
        mean = math.fsum(errors) / len(errors) if errors else None
        return {
            "error_confirmed_mean": mean,
            "error_confirmed_std": float(np.std(errors, ddof=1)) if len(errors) > 1 else None,
            "confirmed_seeds": len(errors),
        }

    def simple_baselines(self) -> list[dict[str, Any]]:
        """Return the classifiers on raw pixels, if they were run."""
        return [dict(each) for each in self._simple.get("classifiers", [])]


def _no_calibration(run: Run) -> RunError:
    return RunError(
        f"Run '{run.name}' has no calibration of its scores.",
        where=str(run.path),
        why="Nobody has trained members of it alone with these weights, or fewer than 10.",
        fix=f"Run `nas supernet rank {run.name}` first, or leave out --calibrated.",
    )


def _latency(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the measured latency among the values of a trial, nulls if there is none."""
    found = next((each for name, each in values.items() if name.startswith("latency_ms")), {})
    return {"latency_ms": found.get("value"), "latency_iqr_ms": found.get("iqr")}


def front_json(run: Run) -> bytes:
    """Return `front.json`."""
    return json.dumps(front_document(run), indent=1, allow_nan=False).encode() + b"\n"


def front_csv(run: Run) -> bytes:
    """Return `front.csv`: one row per point, the searched objectives last."""
    return table_csv(front_document(run)["points"])


def table_csv(points: Sequence[Mapping[str, Any]]) -> bytes:
    """Return points as CSV; an objective has a column named with its unit."""
    names = {
        name: f"{name} ({value['unit']})"
        for point in points
        for name, value in point["objectives"].items()
    }
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*_COLUMNS, *names.values()])
    for point in points:
        values = [point["objectives"].get(name, {}).get("value") for name in names]
        writer.writerow([*(point[column] for column in _COLUMNS), *values])
    return stream.getvalue().encode()


def trials_parquet(run: Run) -> bytes:
    """Return `trials.parquet`: one row per trial, whatever became of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    trials = [trial for _, trial in sorted(run.table().trials.items())]
    columns = {
        "trial": pa.array([trial.number for trial in trials], pa.int64()),
        "batch": pa.array([trial.batch for trial in trials], pa.int64()),
        "state": pa.array([trial.state for trial in trials], pa.string()),
        "attempt": pa.array([trial.attempt for trial in trials], pa.int64()),
        "reason": pa.array([trial.reason for trial in trials], pa.string()),
        "proposed_by": _texts(trials, "proposed_by"),
        "wiring": _texts(trials, "wiring"),
        "architecture": _texts(trials, "architecture_id"),
        "decisions": pa.array([json.dumps(trial.decisions) for trial in trials], pa.string()),
        "feasible": pa.array(
            [is_feasible(trial) if trial.state == "finished" else None for trial in trials],
            pa.bool_(),
        ),
        **_numbers(trials),
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


def _texts(trials: Iterable[Trial], name: str) -> Any:
    import pyarrow as pa

    return pa.array([trial.extra.get(name) for trial in trials], pa.string())


def _numbers(trials: Sequence[Trial]) -> dict[str, Any]:
    import pyarrow as pa

    objectives = dict.fromkeys(name for trial in trials for name in trial.values)
    measures = dict.fromkeys(name for trial in trials for name in trial.extra.get("measures", {}))
    columns = {
        name: pa.array(
            [trial.values[name]["value"] if name in trial.values else None for trial in trials],
            pa.float64(),
        )
        for name in objectives
    }
    for name in measures:
        counts = [trial.extra.get("measures", {}).get(name) for trial in trials]
        columns.setdefault(name, pa.array(counts, pa.int64()))
    return columns


def register_views() -> None:
    """Tell the run store how the views of a search are made."""
    register_view("front.json", front_json)
    register_view("front.csv", front_csv)
    register_view("trials.parquet", trials_parquet)
