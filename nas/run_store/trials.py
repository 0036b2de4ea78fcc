"""The one reading of the log: a fold of its records into stages, trials and the run's state.

Every view, every resume and every table uses `TrialTable`. It refuses what cannot be true (a
result of an attempt that was given up, two different results of one attempt) before the record is
written, so the log never holds it. Record kinds it does not know are kept in the log and ignored
here: higher layers may add kinds and fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, final

from nas.run_store.records import Record, collector_paused
from nas.run_store.trial_rules import CHECKS, FAILURE_REASONS, Attempt, Trial, TrialState

RunState = Literal["created", "running", "interrupted", "finished", "failed"]

_OWN_FIELDS: Final = frozenset(
    {"kind", "trial", "attempt", "batch", "decisions", "architecture", "values"}
)


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
        with collector_paused():
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
        checker = CHECKS.get(record["kind"])
        return checker(self.trials, record) if checker else None

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

    def _take_measured(self, record: Record, seq: int) -> None:
        """Replace predicted numbers by measured ones, and keep what was predicted beside them."""
        trial = self.trials[record["trial"]]
        replaced = {name: trial.values[name] for name in record["values"]}
        own = trial.extra.get("measurements") or {}
        self.trials[trial.number] = replace(
            trial,
            values={**trial.values, **record["values"]},
            extra={
                **trial.extra,
                "predicted": {**replaced, **trial.extra.get("predicted", {})},
                "violations": record.get("violations", trial.extra.get("violations", {})),
                "measurements": {**own, **record.get("measurements", {})},
            },
        )

    def _take_unmeasured(self, record: Record, seq: int) -> None:
        trial = self.trials[record["trial"]]
        failure = {key: record.get(key) for key in ("reason", "message")}
        self.trials[trial.number] = replace(trial, extra={**trial.extra, "unmeasured": failure})

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


_STATE_AFTER: Final[dict[str, RunState]] = {
    "run_resumed": "running",
    "run_finished": "finished",
    "run_failed": "failed",
    "run_interrupted": "interrupted",
}
_APPLIERS: Final[dict[str, Callable[[TrialTable, Record, int], None]]] = {
    "trial_asked": TrialTable._take_asked,
    "trial_finished": TrialTable._take_closed,
    "trial_failed": TrialTable._take_closed,
    "trial_measured": TrialTable._take_measured,
    "trial_unmeasured": TrialTable._take_unmeasured,
    "stage_started": TrialTable._take_stage,
    "stage_finished": TrialTable._take_stage,
    "checkpoint_saved": TrialTable._take_stage,
    "confirm_finished": TrialTable._take_confirm,
    "verdict": TrialTable._take_verdict,
    **dict.fromkeys(_STATE_AFTER, TrialTable._take_outcome),
}
