"""Work that ends when its budget is spent: jobs in a fixed order, charged as the log says.

Which jobs there are is decided by their order alone: a job is done if the jobs before it left
something of the budget. So what was done does not depend on the number of workers or on crashes,
as far as the time that a job takes does not; and the last job may go beyond the budget, no more.

Several workers are kept busy by handing out jobs in groups that fit with room to spare: a group is
as large as the budget bears if each of its jobs took twice the dearest rate seen so far.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from nas.errors import ClusterError, NasError
from nas.search.executors import AbstractExecutor, Job, Outcome, Setup
from nas.search.executors.base import classify
from nas.search.executors.retries import run_retrying
from nas.search.ledger import Prices
from nas.search.session import Session, Stopped
from nas.search.time_spent import TimeSpent
from nas.search.training.kept_trainings import run_kept
from nas.search.training.retrain_task import RETRAIN

ASKED: Final = "arm_asked"
RESULT: Final = "arm_result"
FAILED: Final = "arm_failed"
GROUP: Final = 16
"""Most jobs handed out at a time; never derived from the number of workers."""

SAFETY: Final = 2.0
"""How much dearer than anything so far the jobs of a group may be without going over."""

_log = logging.getLogger("nas")

Look = Callable[[], tuple[dict[str, Any], bool]]


@final
@dataclass(frozen=True)
class Piece:
    """One piece of work.

    Args:
        key: Names it in the log.
        payload: What the worker needs.
        size: How much there is to do, such as epochs; seconds are expected to grow with it.
        facts: What its record says beside the result.
        look: Done by the driver alone before the job; returns more facts and whether the job is
            worth doing. What it takes is charged as measuring.
    """

    key: str
    payload: Mapping[str, Any]
    size: float = 1.0
    facts: Mapping[str, Any] = field(default_factory=dict)
    look: Look | None = None


@final
class BudgetedWork:
    """One part of the work of an arm.

    Args:
        session: The session.
        arm: Name of the arm.
        part: Name of the part: its records are told apart by it.
        budget_s: Device-seconds that the arm may have spent when this part is over.
        charged_s: Device-seconds that it has spent on other parts, or owes for what others did.
    """

    def __init__(
        self, session: Session, arm: str, part: str, budget_s: float, *, charged_s: float = 0.0
    ) -> None:
        self.session = session
        self.arm = arm
        self.part = part
        self.budget_s = budget_s
        self._prices = Prices.of(session.run)
        self._dearest = 0.0
        self._spent = charged_s
        self.closed: dict[str, Mapping[str, Any]] = {}
        mine = (arm, part)
        for record in session.run.records():
            if record["kind"] in (RESULT, FAILED) and (record["arm"], record["part"]) == mine:
                self._take(record)

    @property
    def spent_s(self) -> float:
        """Device-seconds spent so far, as far as the log knows."""
        return self._spent

    def perform(self, pieces: Iterable[Piece], setup: Setup) -> list[str]:
        """Do pieces in their order until the budget is spent; return the keys that are closed.

        Args:
            pieces: The work; those that the log holds already are not done again.
            setup: What workers prepare.

        Raises:
            Stopped: If it was left before its end; what was done is in the log.
        """
        over: list[str] = []
        waiting = _Peekable(pieces)
        while True:
            group = self._group(waiting, over)
            if not group:
                return over
            self.session.check_stop()
            self._do(group, setup)
            over += [piece.key for piece in group]

    def _group(self, waiting: _Peekable, over: list[str]) -> list[Piece]:
        """Return what to do next; pieces that are closed already go to `over`."""
        group: list[Piece] = []
        planned = 0.0
        while len(group) < GROUP:
            piece = waiting.peek()
            if piece is None:
                break
            if piece.key in self.closed:
                if group:
                    break  # keeps `over` in order
                over.append(piece.key)
                waiting.take()
                continue
            planned += SAFETY * self._dearest * piece.size
            unsure = not self._dearest or self._spent + planned > self.budget_s
            if self._spent >= self.budget_s or (group and unsure):
                break
            group.append(piece)
            waiting.take()
        return group

    def _do(self, group: list[Piece], setup: Setup) -> None:
        run = self.session.run
        run.append({"kind": ASKED, "arm": self.arm, "keys": [piece.key for piece in group]})
        executor = self.session.executor(setup)
        self.session.settle()
        looked: dict[str, tuple[Piece, dict[str, Any], float]] = {}
        jobs: list[Job] = []
        for piece in group:
            spent = TimeSpent()
            try:
                facts, wanted = piece.look() if piece.look else ({}, True)
            except ClusterError:
                raise  # nothing can be measured, whatever the network
            except (NasError, RuntimeError, MemoryError) as error:
                failure = Outcome(piece.key, None, *classify(error))
                self._close(piece, {}, spent.busy_s, failure)
                continue
            measuring = spent.busy_s if piece.look else 0.0
            if not wanted:
                self._close(piece, facts, measuring, Outcome(piece.key, {}))
                continue
            looked[piece.key] = (piece, facts, measuring)
            jobs.append(Job(piece.key, dict(piece.payload)))

        def take(outcome: Outcome) -> None:
            self._close(*looked[outcome.key], outcome)

        if jobs and not self._run(executor, setup, jobs, take):
            raise Stopped

    def _run(
        self,
        executor: AbstractExecutor,
        setup: Setup,
        jobs: list[Job],
        take: Callable[[Outcome], None],
    ) -> bool:
        stopper = self.session.stopper
        if setup.factory == RETRAIN and self.session.workers_see_run:
            return run_kept(executor, self.session.run.path, setup, jobs, take, stopper)
        return run_retrying(executor, jobs, take, stopper)

    def _close(
        self, piece: Piece, facts: Mapping[str, Any], measuring_s: float, outcome: Outcome
    ) -> None:
        head = {
            "arm": self.arm,
            "part": self.part,
            "key": piece.key,
            "size": piece.size,
            **piece.facts,
            **facts,
            "seconds": round(outcome.seconds, 4),
            "measuring_seconds": round(measuring_s, 4),
        }
        if outcome.result is None:
            _log.warning("%s: %s failed: %s", self.arm, piece.key, outcome.message)
            told = {"reason": outcome.reason, "message": (outcome.message or "")[:2000]}
            record = {"kind": FAILED, **head, **told}
        else:
            record = {"kind": RESULT, **head, "result": dict(outcome.result)}
        self.session.run.append(record)
        self._take(record)
        note = f"{self._spent:.0f} of {self.budget_s:.0f} device-seconds"
        self.session.tell(self.arm, len(self.closed), None, "members", note)

    def _take(self, record: Mapping[str, Any]) -> None:
        """Count a closed piece."""
        seconds = self._prices.of_arm(record)
        self.closed[str(record["key"])] = record
        self._spent += seconds
        self._dearest = max(self._dearest, seconds / float(record["size"]))


def is_scored(record: Mapping[str, Any]) -> bool:
    """Tell whether a closed piece has a result: it neither failed nor was refused by a look."""
    return record["kind"] == RESULT and bool(record["result"])


@final
class _Peekable:
    """An iterator whose next piece can be looked at first."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces: Iterator[Piece] = iter(pieces)
        self._next: Piece | None = None

    def peek(self) -> Piece | None:
        """Return the next piece, None at the end."""
        if self._next is None:
            self._next = next(self._pieces, None)
        return self._next

    def take(self) -> None:
        """Go on to the next."""
        self._next = None
