"""What becomes of the outcomes of workers: measured where wanted, then closed in the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, final

from nas.errors import ClusterError, NasError
from nas.search.executors import Outcome
from nas.search.executors.base import classify
from nas.search.exploring.history import Entry
from nas.search.measuring.quiet import QuietDevice
from nas.search.quantisation import deployment_of
from nas.search.session import Session
from nas.search.time_spent import TimeSpent
from nas.space import AbstractSpace

_log = logging.getLogger("nas")


@final
class TrialCloser:
    """Takes outcomes and closes their trials.

    Args:
        session: The session.
        space: What they were proposed from.
        device: Measures what workers cannot.

    Attributes:
        entries: Trials under way, by number.
        waiting: Outcomes of those that are still to be measured.
    """

    def __init__(self, session: Session, space: AbstractSpace, device: QuietDevice) -> None:
        self.session = session
        self.space = space
        self.device = device
        self.entries: dict[int, Entry] = {}
        self.waiting: dict[int, Outcome] = {}

    def take(self, outcome: Outcome) -> None:
        """Close a failed trial at once, and one that needs no measurement."""
        number = int(outcome.key)
        if outcome.result is None:
            self.fail(number, outcome.reason or "crash", outcome.message or "", outcome.seconds)
        elif self.session.goals.driven:
            self.waiting[number] = outcome
        else:
            self._finish(number, outcome, {"values": {}})

    def measure(self) -> None:
        """Measure the trials that wait for it, one by one, and close them."""
        for number in sorted(self.waiting):
            outcome = self.waiting.pop(number)
            spent = TimeSpent()
            try:
                decisions = self.entries[number].decisions
                deployment = deployment_of(self.space, decisions)
                measured = self.device.estimate(self.space.build(decisions), deployment)
            except ClusterError:
                raise  # nothing can be measured, whatever the network
            except (NasError, RuntimeError, MemoryError) as error:
                reason, message = classify(error)
                self.fail(number, reason, message, outcome.seconds, spent.busy_s)
                continue
            self._finish(number, outcome, measured, spent.busy_s)

    def _finish(
        self, number: int, outcome: Outcome, measured: Mapping[str, Any], measuring_s: float = 0.0
    ) -> None:
        assert outcome.result is not None
        values = {**outcome.result["values"], **measured["values"]}
        details = {**outcome.result["measurements"], **measured.get("measurements", {})}
        ordered = {each.name: values[each.name] for each in self.session.goals.every}
        self.session.run.append(
            {
                "kind": "trial_finished",
                "trial": number,
                "attempt": self.session.run.table().trials[number].attempt,
                "values": ordered,
                "inherited": outcome.result["inherited"],
                "measures": outcome.result["measures"],
                "violations": self.session.goals.violations(ordered),
                "measurements": details,
                "seconds": round(outcome.seconds, 4),
                "measuring_seconds": round(measuring_s, 4),
            }
        )

    def fail(
        self, number: int, reason: str, message: str, seconds: float, measuring_s: float = 0.0
    ) -> None:
        """Close the open attempt at a trial as failed."""
        _log.debug("trial %d failed (%s): %s", number, reason, message)
        self.session.run.append(
            {
                "kind": "trial_failed",
                "trial": number,
                "attempt": self.session.run.table().trials[number].attempt,
                "reason": reason,
                "message": message[:2000],
                "seconds": round(seconds, 4),
                "measuring_seconds": round(measuring_s, 4),
            }
        )
