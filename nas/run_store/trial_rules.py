"""Trials as data, and what a record must fulfil before it may join the log.

A worker that was given up may still answer, and a resumed driver may answer twice: the rules here
let one attempt have one result, once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from nas.errors import NotFoundError, RunError
from nas.run_store.records import Record

TrialState = Literal["asked", "finished", "failed"]

FAILURE_REASONS: Final = ("nonfinite", "oom", "timeout", "crash", "infeasible", "died", "lost")


@dataclass(frozen=True)
class Attempt:
    """One try at a trial: its number, its end, and where the log says so (sequence numbers)."""

    number: int
    state: TrialState | Literal["abandoned"]
    asked_seq: int
    closed_seq: int | None = None
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Trial:
    """One proposal and what became of it.

    Args:
        number: Index of the trial in the run, from 0.
        state: `asked` while nothing is known, then `finished` or `failed`.
        batch: Number of the batch it was proposed in.
        decisions: Answers to the choices of the space, as the record holds them.
        architecture: The architecture as the record holds it: JSON data.
        attempts: All tries, oldest first; the last one counts.
        values: For a finished trial, `{objective: {"value": number, ...}}`.
        extra: Further fields of the records of the last attempt (asked, then closed).
    """

    number: int
    state: TrialState
    batch: int | None
    decisions: Any
    architecture: Any
    attempts: tuple[Attempt, ...]
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def attempt(self) -> int:
        """Number of the last attempt."""
        return self.attempts[-1].number

    @property
    def reason(self) -> str | None:
        """Why the trial failed: one of `FAILURE_REASONS`, or None."""
        return self.attempts[-1].reason

    @property
    def message(self) -> str | None:
        """What the failed trial said."""
        return self.attempts[-1].message

    def value(self, objective: str) -> float:
        """Return the value of one objective.

        Raises:
            NotFoundError: If the trial has no such objective.
        """
        if objective not in self.values:
            known = ", ".join(sorted(self.values)) or "none, it did not finish"
            raise NotFoundError(
                f"Trial {self.number} has no objective '{objective}'.",
                fix=f"Its objectives: {known}.",
            )
        return float(self.values[objective]["value"])


Trials = Mapping[int, Trial]


def _refuse(record: Record, what: str, why: str, fix: str | None = None) -> RunError:
    place = f"record of kind '{record['kind']}'"
    if "trial" in record:
        place += f", trial {record['trial']}, attempt {record.get('attempt')}"
    return RunError(what, where=place, why=why, fix=fix)


def _whole_number(record: Record, name: str, lowest: int) -> int:
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise _refuse(
            record,
            f"The field '{name}' is {value!r}; it must be a whole number of at least {lowest}.",
            "Trials are told apart by number and attempt.",
        )
    return value


def _check_asked(trials: Trials, record: Record) -> int | None:
    number = _whole_number(record, "trial", 0)
    attempt = _whole_number(record, "attempt", 1)
    before = trials.get(number)
    if before is None:
        return None
    if before.state == "finished" or attempt <= before.attempt:
        raise _refuse(
            record,
            f"Trial {number} cannot be asked as attempt {attempt}: "
            f"attempt {before.attempt} is {before.state}.",
            "A finished trial is never run again, and every new try has a higher attempt.",
            f"Ask a trial that is not finished, with attempt {before.attempt + 1}.",
        )
    if record.get("decisions", before.decisions) != before.decisions:
        raise _refuse(
            record,
            f"Attempt {attempt} of trial {number} has other decisions than attempt "
            f"{before.attempt}.",
            "A trial keeps its proposal; else a resumed run is not the same search.",
        )
    return None


def _check_closed(trials: Trials, record: Record) -> int | None:
    number = _whole_number(record, "trial", 0)
    attempt = _whole_number(record, "attempt", 1)
    trial = trials.get(number)
    if trial is None or attempt > trial.attempt:
        raise _refuse(
            record,
            f"Trial {number} was never asked as attempt {attempt}.",
            "A result belongs to a proposal in the log.",
            "Append trial_asked first.",
        )
    _check_content(record)
    if attempt < trial.attempt:
        raise _refuse(
            record,
            f"The result of attempt {attempt} of trial {number} comes too late: "
            f"attempt {trial.attempt} was started.",
            "A trial counts once; a worker that was given up must not overwrite its successor.",
        )
    if trial.state == "asked":
        return None
    return _check_repeated(trial, record)


def _check_repeated(trial: Trial, record: Record) -> int | None:
    if record["kind"] == "trial_finished":
        told = {**trial.values, **trial.extra.get("predicted", {})}
        same = trial.state == "finished" and record["values"] == told
    else:
        same = trial.state == "failed" and record["reason"] == trial.reason
    if same:
        return trial.attempts[-1].closed_seq
    old = dict(trial.values) if trial.state == "finished" else trial.reason
    new = record.get("values", record.get("reason"))
    raise _refuse(
        record,
        f"Trial {trial.number} is {trial.state} already with {old}; {new} contradicts it.",
        "One attempt has one result.",
    )


def _check_content(record: Record) -> None:
    if record["kind"] == "trial_failed":
        if record.get("reason") not in FAILURE_REASONS:
            raise _refuse(
                record,
                f"The reason {record.get('reason')!r} of a failed trial is unknown.",
                f"Reasons are {', '.join(FAILURE_REASONS)}.",
            )
        return
    values = record.get("values")
    if not isinstance(values, Mapping) or not values:
        raise _refuse(
            record,
            f"The values of a finished trial are {values!r}; expected "
            "{objective: {'value': number}}.",
            "A trial without a result is recorded as trial_failed.",
        )
    for name, value in values.items():
        _check_value(record, name, value)


def _check_value(record: Record, name: str, value: Any) -> None:
    number = value.get("value") if isinstance(value, Mapping) else None
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not math.isfinite(number or 0):
        raise _refuse(
            record,
            f"The objective '{name}' is {value!r}; it must be {{'value': finite number, ...}}.",
            "A non-finite result can neither be compared nor written.",
            "Record it as trial_failed with reason 'nonfinite'.",
        )


def _check_measured(trials: Trials, record: Record) -> int | None:
    """A later measurement is of a finished trial, and of numbers that it has."""
    number = _whole_number(record, "trial", 0)
    trial = trials.get(number)
    if trial is None or trial.state != "finished":
        raise _refuse(
            record,
            f"Trial {number} is not finished, so it cannot be measured again.",
            "A measurement replaces predicted numbers of a result.",
        )
    if record["kind"] == "trial_unmeasured":
        return None
    _check_content(record)
    unknown = sorted(set(record["values"]) - set(trial.values))
    if unknown:
        raise _refuse(
            record,
            f"Trial {number} has no objective '{unknown[0]}'.",
            "A measurement replaces numbers that are there.",
        )
    return None


def _check_stage(trials: Trials, record: Record) -> int | None:
    if not isinstance(record.get("stage"), str) or not record["stage"]:
        raise _refuse(
            record,
            f"The field 'stage' is {record.get('stage')!r}; it must be the name of a stage.",
            "Stages are resumed by name.",
        )
    return None


CHECKS: Final[dict[str, Callable[[Trials, Record], int | None]]] = {
    "trial_asked": _check_asked,
    "trial_finished": _check_closed,
    "trial_failed": _check_closed,
    "trial_measured": _check_measured,
    "trial_unmeasured": _check_measured,
    "stage_started": _check_stage,
    "stage_finished": _check_stage,
    "checkpoint_saved": _check_stage,
}
"""Per record kind, what must hold before it is appended; the result is as of `TrialTable.check`."""
