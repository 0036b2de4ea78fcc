"""All trials as columns of equal length: small to send, quick to draw ten thousand of.

With `after`, only the trials that changed since that record; the whole front is told beside them,
so that a reader also learns which trials have left it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nas.run_store import Trial
from nas.search.front.errors import bar, standard_error
from nas.search.front.reading import CALIBRATED_COLUMN, is_feasible

from .plain import mapping, number, short, text, total, whole
from .reading import Reading

SCHEMA = "nas.dash.trials/1"
STATES = {"asked": "open", "finished": "finished", "failed": "failed"}


def trials_document(reading: Reading, after: int | None = None) -> dict[str, Any]:
    """Return the trials of a run.

    Args:
        reading: The run.
        after: Only those with a record of a higher number; None for all.
    """
    chosen = reading.trials
    if after is not None:
        chosen = [each for each in chosen if reading.changed_at.get(each.number, 0) > after]
    front = reading.front_trials
    names = list(dict.fromkeys(name for trial in chosen for name in trial.values))
    bars = {name: [_bar(trial, name) for trial in chosen] for name in names}
    return {
        "schema": SCHEMA,
        "seq": reading.seq,
        "total": len(reading.trials),
        "trial": [trial.number for trial in chosen],
        "state": [STATES[trial.state] for trial in chosen],
        **{name: _texts(chosen, key) for name, key in _TEXTS.items()},
        "batch": [trial.batch for trial in chosen],
        "duplicate_of": [reading.replays.get(trial.number) for trial in chosen],
        "feasible": [is_feasible(each) if each.state == "finished" else None for each in chosen],
        "on_front": [trial.number in front for trial in chosen],
        "seconds": [seconds_of(trial) for trial in chosen],
        "reason": [reason_of(trial) for trial in chosen],
        "values": {name: [_value(trial, name) for trial in chosen] for name in names},
        "low": {name: [short(low) for low, _ in found] for name, found in bars.items()},
        "high": {name: [short(high) for _, high in found] for name, found in bars.items()},
        "measures": _measures(reading, chosen),
        "front": sorted(front),
    }


_TEXTS = {
    "family": "family",
    "wiring": "wiring",
    "architecture": "architecture_id",
    "proposed_by": "proposed_by",
}


def _texts(trials: Sequence[Trial], key: str) -> list[str | None]:
    return [text(trial.extra.get(key)) for trial in trials]


def seconds_of(trial: Trial) -> float | None:
    """Return what a trial took, its measurements included; None where it is not known."""
    return total([number(trial.extra.get(key)) for key in ("seconds", "measuring_seconds")])


def reason_of(trial: Trial) -> str | None:
    """Return why a trial failed, or why its measurement did."""
    unmeasured = mapping(trial.extra.get("unmeasured"))
    return trial.reason or text(unmeasured.get("reason"))


def _value(trial: Trial, name: str) -> float | None:
    return number(mapping(trial.values.get(name)).get("value"))


def _bar(trial: Trial, name: str) -> tuple[float | None, float | None]:
    """Return the ends of the 95 % interval of a value; nothing where it is exact or unknown."""
    if name not in trial.values:
        return None, None
    value, error = trial.value(name), value_error(trial, name)
    return (None, None) if not error else bar(value, error)


def value_error(trial: Trial, name: str) -> float | None:
    """Return the standard error of a value of a finished trial, None where it is unknown."""
    own = {key: trial.extra.get(key) for key in ("measurements", "inherited")}
    value = {"unit": None, "source": None, **trial.values[name]}
    return standard_error(name, {"values": {name: value}, **own})


def _measures(reading: Reading, trials: Sequence[Trial]) -> dict[str, list[float | None]]:
    """Return what is counted or was found beside the objectives; columns without any are out."""
    counted = dict.fromkeys(
        name for trial in trials for name in mapping(trial.extra.get("measures"))
    )
    columns: dict[str, list[float | None]] = {
        name: [number(mapping(trial.extra.get("measures")).get(name)) for trial in trials]
        for name in counted
    }
    for name, reader in _FOUND.items():
        columns[name] = [reader(reading, trial) for trial in trials]
    return {name: column for name, column in columns.items() if any_known(column)}


def any_known(column: Sequence[float | None]) -> bool:
    """Tell whether a column says anything."""
    return any(value is not None for value in column)


def _inherited(key: str) -> Callable[[Reading, Trial], float | None]:
    return lambda reading, trial: number(mapping(trial.extra.get("inherited")).get(key))


def _confirmed(key: str) -> Callable[[Reading, Trial], float | None]:
    def read(reading: Reading, trial: Trial) -> float | None:
        found: Mapping[str, Any] = reading.facts.confirmed.get(f"trial-{trial.number}", {})
        return number(found.get(key))

    return read


_FOUND: dict[str, Callable[[Reading, Trial], float | None]] = {
    "error_inherited": _inherited("error"),
    "cross_entropy_inherited": _inherited("cross_entropy"),
    CALIBRATED_COLUMN: lambda reading, trial: short(reading.facts.trust.calibrated(trial)),
    "error_validation": _confirmed("error_validation_mean"),
    "error_confirmed": _confirmed("error_confirmed_mean"),
    "error_confirmed_std": _confirmed("error_confirmed_std"),
    "attempts": lambda reading, trial: whole(trial.attempt),
}
