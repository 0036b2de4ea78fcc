"""A front as CSV, and all trials as parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from nas.config_files import csv_text
from nas.run_store import Run, Trial
from nas.search.front.reading import is_feasible

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS: Final = (
    "trial",
    "architecture",
    "wiring",
    "error_inherited",
    "error_confirmed_mean",
    "error_confirmed_std",
    "error_validation_mean",
    "parameters",
    "macs",
    "latency_ms",
    "latency_iqr_ms",
    "family",
    "cross_entropy_calibrated",
    "probability_front",
    "tie_group",
    "ties",
    "knee",
    "flags",
    "hypervolume_contribution",
)
_PER_OBJECTIVE: Final = ("value", "standard_error", "shrunken")


def front_columns(points: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return points as columns: per searched objective its value, error and shrunken value.

    Columns of objectives are named with their unit.
    """
    names = {name: value["unit"] for point in points for name, value in point["objectives"].items()}
    columns = {column: [point.get(column) for point in points] for column in _COLUMNS}
    for what in _PER_OBJECTIVE:
        for name, unit in names.items():
            head = f"{name}{'' if what == 'value' else f' {what}'} ({unit})"
            columns[head] = [point["objectives"].get(name, {}).get(what) for point in points]
    return columns


def table_csv(points: Sequence[Mapping[str, Any]]) -> bytes:
    """Return `front_columns` as CSV, one row per point; lists are separated by spaces."""
    columns = front_columns(points)
    rows = zip(*columns.values(), strict=True)
    return csv_text(list(columns), ([_joined(cell) for cell in row] for row in rows)).encode()


def _joined(value: object) -> object:
    if isinstance(value, list):
        return " ".join(str(each).replace(" ", "_") for each in value)
    return value


def trials_parquet(run: Run) -> bytes:
    """Return `trials.parquet`: one row per trial, whatever became of it."""
    return table_parquet(trials_table(run))


def table_parquet(table: pa.Table) -> bytes:
    """Return a table as a parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def trials_table(run: Run) -> pa.Table:
    """Return the trials of a run as a table of columns."""
    import pyarrow as pa

    trials = [trial for _, trial in sorted(run.table().trials.items())]
    return pa.table(
        {
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
    )


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
