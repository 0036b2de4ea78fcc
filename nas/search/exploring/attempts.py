"""The attempts at a trial as the log tells them, and whether there is to be another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from nas.run_store import Trial, TrialTable
from nas.search.executors.retries import has_attempts_left
from nas.search.exploring.history import BatchPlan, Entry

MOST_ABANDONED: Final = 20
"""Attempts at a trial during which the search itself was killed, after which it is given up.

Large, since whoever kills a search often (a queue of jobs, a laptop) does not speak against the
trial that ran then; but one that takes the search with it each time must end somewhere.
"""


def failed_attempts(trial: Trial | None) -> int:
    """Return how many attempts at a trial failed."""
    return 0 if trial is None else sum(each.state == "failed" for each in trial.attempts)


def needs_attempt(trial: Trial | None) -> bool:
    """Tell whether a planned trial is still to be evaluated, or once more."""
    if trial is None or trial.state == "asked":
        return True
    return trial.state == "failed" and has_attempts_left(trial.reason, failed_attempts(trial))


def was_always_abandoned(trial: Trial | None) -> bool:
    """Tell whether the search was killed in so many attempts at a trial that it is given up."""
    if trial is None or trial.state != "asked":
        return False
    return sum(each.state != "failed" for each in trial.attempts) >= MOST_ABANDONED


def open_entries(plans: Iterable[BatchPlan], table: TrialTable) -> Iterator[tuple[int, Entry]]:
    """Yield batch and proposal of what is still to be evaluated."""
    for plan in plans:
        for entry in plan.trials:
            if needs_attempt(table.trials.get(entry.trial)):
                yield plan.batch, entry
