"""The one reading of the log: a fold of its records into stages, trials and the run's state.

Every view, every resume and every table uses `TrialTable`. It refuses what cannot be true (a
result of an attempt that was given up, two different results of one attempt) before the record is
written, so the log never holds it. Record kinds it does not know are kept in the log and ignored
here: higher layers may add kinds and fields.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, final

from nas.errors import NotFoundError, RunError
from nas.run_store.records import Record

TrialState = Literal["asked", "finished", "failed"]
RunState = Literal["created", "running", "interrupted", "finished", "failed"]

FAILURE_REASONS: Final = ("nonfinite", "oom", "timeout", "crash", "infeasible")

_OWN_FIELDS: Final = frozenset(
    {"kind", "trial", "attempt", "batch", "decisions", "architecture", "values"}
)


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
        architecture: What the record says about the architecture: its id or its own JSON.
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


@dataclass(frozen=True)
class Stage:
    """One stage of the run: its state, its last checkpoint, and the record that closed it."""

    name: str
    state: Literal["started", "finished"]
    checkpoint: str | None = None
    finish: Mapping[str, Any] = field(default_factory=dict)


@final
class TrialTable:
    """Stages, trials and state of a run, built record by record.

    `check` tells whether a record may follow; `apply` takes it in. A fold over the log from its
    first record gives the same table every time.
    """

    def __init__(self) -> None:
        self.trials: dict[int, Trial] = {}
        self.stages: dict[str, Stage] = {}
        self.confirms: list[Record] = []
        self.verdicts: list[Record] = []
        self.num_records = 0
        self._state: RunState = "created"
        self._outcome: Record | None = None

    @classmethod
    def fold(cls, records: Iterable[Record]) -> TrialTable:
        """Read all records of a log.

        Raises:
            RunError: If they contradict each other.
        """
        table = cls()
        for record in records:
            table.apply(record)
        return table

    def check(self, record: Record) -> int | None:
        """Tell whether `record` may be appended now.

        Returns:
            None if it is new, or the sequence number of the record that says the same already.

        Raises:
            RunError: If it lacks a field, comes from an attempt that was given up, or contradicts
                the log.
        """
        checker = _CHECKS.get(record["kind"])
        return checker(self, record) if checker else None

    def apply(self, record: Record) -> None:
        """Take in the next record of the log; one that repeats another changes nothing."""
        if self.check(record) is None:
            applier = _APPLIERS.get(record["kind"])
            if applier:
                applier(self, record, self.num_records)
        self.num_records += 1

    @property
    def outcome(self) -> Record | None:
        """The record that ended the run (`run_finished`, `run_failed`, `run_interrupted`)."""
        return self._outcome

    def state(self, *, owned: bool) -> RunState:
        """Return the state of the run.

        Args:
            owned: Whether a living process owns the run; without one a run that did not end is
                interrupted.
        """
        if self._state == "running" and not owned:
            return "interrupted"
        return self._state

    def finished(self) -> list[Trial]:
        """Return the finished trials by number."""
        return self._with_state("finished")

    def failed(self) -> list[Trial]:
        """Return the failed trials by number."""
        return self._with_state("failed")

    def stale(self) -> list[Trial]:
        """Return the trials that were asked and never closed, by number.

        When a new owner opens the run, these are the ones to ask again, each with the same number
        and `attempt + 1`.
        """
        return self._with_state("asked")

    def missing_numbers(self, count: int) -> list[int]:
        """Return the numbers below `count` that no trial has, ascending."""
        return [number for number in range(count) if number not in self.trials]

    def failures_by_reason(self) -> dict[str, int]:
        """Count the failed trials per reason, in the order of `FAILURE_REASONS`."""
        reasons = [trial.reason for trial in self.failed()]
        return {name: reasons.count(name) for name in FAILURE_REASONS if name in reasons}

    def _with_state(self, state: TrialState) -> list[Trial]:
        return [self.trials[key] for key in sorted(self.trials) if self.trials[key].state == state]

    def _take_asked(self, record: Record, seq: int) -> None:
        number = record["trial"]
        before = self.trials.get(number)
        past = tuple(
            replace(attempt, state="abandoned") if attempt.state == "asked" else attempt
            for attempt in (before.attempts if before else ())
        )
        self.trials[number] = Trial(
            number=number,
            state="asked",
            batch=record.get("batch", before.batch if before else None),
            decisions=record.get("decisions", before.decisions if before else None),
            architecture=record.get("architecture", before.architecture if before else None),
            attempts=(*past, Attempt(record["attempt"], "asked", seq)),
            extra=_extra(record),
        )
        self._state = "running"

    def _take_closed(self, record: Record, seq: int) -> None:
        trial = self.trials[record["trial"]]
        state: TrialState = "finished" if record["kind"] == "trial_finished" else "failed"
        last = replace(
            trial.attempts[-1],
            state=state,
            closed_seq=seq,
            reason=record.get("reason") if state == "failed" else None,
            message=record.get("message") if state == "failed" else None,
        )
        self.trials[trial.number] = replace(
            trial,
            state=state,
            attempts=(*trial.attempts[:-1], last),
            values=record["values"] if state == "finished" else {},
            extra={**trial.extra, **_extra(record)},
        )

    def _take_stage(self, record: Record, seq: int) -> None:
        name = record["stage"]
        known = self.stages.get(name, Stage(name, "started"))
        checkpoint = record.get("checkpoint", known.checkpoint)
        if record["kind"] == "stage_finished":
            self.stages[name] = Stage(name, "finished", checkpoint, record)
        elif record["kind"] == "stage_started":
            self.stages[name] = Stage(name, "started", checkpoint)
            self._state = "running"
        else:
            self.stages[name] = replace(known, checkpoint=checkpoint)

    def _take_outcome(self, record: Record, seq: int) -> None:
        self._state = _STATE_AFTER[record["kind"]]
        self._outcome = None if self._state == "running" else record

    def _take_confirm(self, record: Record, seq: int) -> None:
        self.confirms.append(record)

    def _take_verdict(self, record: Record, seq: int) -> None:
        self.verdicts.append(record)


def _extra(record: Record) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in _OWN_FIELDS}


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


def _check_asked(table: TrialTable, record: Record) -> int | None:
    number = _whole_number(record, "trial", 0)
    attempt = _whole_number(record, "attempt", 1)
    before = table.trials.get(number)
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


def _check_closed(table: TrialTable, record: Record) -> int | None:
    number = _whole_number(record, "trial", 0)
    attempt = _whole_number(record, "attempt", 1)
    trial = table.trials.get(number)
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
        same = trial.state == "finished" and record["values"] == trial.values
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


def _check_stage(table: TrialTable, record: Record) -> int | None:
    if not isinstance(record.get("stage"), str) or not record["stage"]:
        raise _refuse(
            record,
            f"The field 'stage' is {record.get('stage')!r}; it must be the name of a stage.",
            "Stages are resumed by name.",
        )
    return None


_STATE_AFTER: Final[dict[str, RunState]] = {
    "run_resumed": "running",
    "run_finished": "finished",
    "run_failed": "failed",
    "run_interrupted": "interrupted",
}
_CHECKS: Final[dict[str, Callable[[TrialTable, Record], int | None]]] = {
    "trial_asked": _check_asked,
    "trial_finished": _check_closed,
    "trial_failed": _check_closed,
    "stage_started": _check_stage,
    "stage_finished": _check_stage,
    "checkpoint_saved": _check_stage,
}
_APPLIERS: Final[dict[str, Callable[[TrialTable, Record, int], None]]] = {
    "trial_asked": TrialTable._take_asked,
    "trial_finished": TrialTable._take_closed,
    "trial_failed": TrialTable._take_closed,
    "stage_started": TrialTable._take_stage,
    "stage_finished": TrialTable._take_stage,
    "checkpoint_saved": TrialTable._take_stage,
    "confirm_finished": TrialTable._take_confirm,
    "verdict": TrialTable._take_verdict,
    **dict.fromkeys(_STATE_AFTER, TrialTable._take_outcome),
}
