"""The explore stage: plan a batch, evaluate it, measure it, record it, until the trials are used.

Inherited scores and counted costs come from the workers in any order and are the same in every
order. Latency is measured when the batch's evaluations are over and nothing else of the search runs
on the device. In asynchronous order a batch is one trial, and measuring waits for as many of them
as a batch would have had.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, final

from nas.errors import EveryTrialFailedError, NothingFeasibleError
from nas.run_store import rebuild_views
from nas.run_store.layout import typed
from nas.search.executors import Job, Outcome
from nas.search.executors.retries import has_attempts_left, run_retrying
from nas.search.exploring.attempts import (
    MOST_ABANDONED,
    failed_attempts,
    open_entries,
    was_always_abandoned,
)
from nas.search.exploring.closing import TrialCloser
from nas.search.exploring.history import BatchPlan, Entry, planned_trials, read_plans
from nas.search.exploring.memory_use import memory_use
from nas.search.exploring.propose import Planner, Preferred
from nas.search.exploring.view_refresh import ViewRefresh
from nas.search.measuring.quiet import QuietDevice
from nas.search.quantisation import completed, described
from nas.search.session import Session, Stopped
from nas.search.settings.resolve import searched_space
from nas.search.setups import scoring_setup
from nas.topology.identity import trained_id
from nas.topology.serial import dump_architecture

EXPLORE = "explore"

_log = logging.getLogger("nas")


def explore(session: Session, weights: str | None, preferred: list[Preferred]) -> None:
    """Evaluate as many distinct members as the run is to have.

    Raises:
        EveryTrialFailedError: If none finished.
        NothingFeasibleError: If none of the finished keeps the constraints.
    """
    total = planned_trials(session.run)
    stage = session.run.table().stages.get(EXPLORE)
    if stage is None or stage.state != "finished" or stage.finish.get("planned") != total:
        session.again(EXPLORE, lambda: _Explorer(session, weights, preferred, total).run())
    check_outcome(session)


def check_outcome(session: Session) -> None:
    """Refuse to go on when there is nothing to go on with."""
    table = session.run.table()
    finished = table.finished()
    if not finished:
        counts = ", ".join(f"{count} {name}" for name, count in table.failures_by_reason().items())
        first = next(iter(table.failed()), None)
        raise EveryTrialFailedError(
            f"All {len(table.failed())} trials failed ({counts}).",
            where=f"run '{session.run.name}'",
            why=f"The first said: {first.message}" if first else None,
            fix=f"Look at the messages with `nas runs show {typed(session.run.path)}`; a smaller "
            "space, smaller images or a longer search.trial_timeout_s may help.",
        )
    kept = [trial for trial in finished if session.goals.feasible(trial.values)]
    if not kept:
        raise NothingFeasibleError(
            f"None of the {len(finished)} finished trials keeps the constraints "
            f"{' and '.join(str(each) for each in session.goals.constraints)}.",
            where=f"run '{session.run.name}'",
            why=_nearest(session),
            fix="Loosen the constraint, search a space with smaller networks, or go on with "
            f"`nas resume {typed(session.run.path)} --trials +100`.",
        )
    if all("unmeasured" in trial.extra for trial in kept):
        raise NothingFeasibleError(
            f"None of the {len(kept)} trials that a profile promised a place on the front could be "
            "measured.",
            where=f"run '{session.run.name}'",
            why=f"The first said: {kept[0].extra['unmeasured']['message']}",
            fix="Search with 'latency.steer: measured', or a space with smaller networks.",
        )


def _nearest(session: Session) -> str:
    parts = []
    for each in session.goals.constraints:
        values = [trial.value(each.objective) for trial in session.run.table().finished()]
        best = min(values, key=each.violation)
        parts.append(f"the nearest has {each.objective} = {best:.4g} {each.unit}")
    return f"{'; '.join(parts).capitalize()}."


@final
class _Explorer:
    """One pass over the explore stage.

    Args:
        session: The session.
        weights: SHA-256 of the supernet's weights, None where no objective needs them.
        preferred: Members that a training prefers, with its name.
        total: Trials in all.
    """

    def __init__(
        self, session: Session, weights: str | None, preferred: list[Preferred], total: int
    ) -> None:
        self.session = session
        self.store = session.run
        self.weights = weights
        self.total = total
        self.space = searched_space(session.config, session.space)
        self.planner = Planner(
            self.space, session.config, session.goals, completed(self.space, preferred)
        )
        self.plans = read_plans(session.run.records())
        self.closer = TrialCloser(session, self.space, QuietDevice(session))
        self.views = ViewRefresh(session.run)
        self._closed = 0

    def run(self) -> Mapping[str, Any]:
        """Evaluate until nothing is left; return what the closing record says."""
        self._tell()
        if self.session.config.search.order == "deterministic":
            self._batches()
        else:
            self._flow()
        rebuild_views(self.store)
        trials = sum(len(plan.trials) for plan in self.plans)
        duplicates = sum(len(plan.entries) for plan in self.plans) - trials
        exhausted = bool(self.plans) and self.plans[-1].exhausted
        if exhausted and trials < self.total:
            _log.info("all %d distinct members of the space were evaluated", trials)
        return {
            "planned": self.total,
            "trials": trials,
            "duplicates": duplicates,
            "exhausted": exhausted,
        }

    def _batches(self) -> None:
        """Close every batch before the next one is planned."""
        plan = self.plans[-1] if self.plans else None  # a killed owner may have left it open
        while True:
            if plan is not None and (waiting := self._open([plan])):
                self._evaluate(waiting, self.closer.take)
            self.session.check_stop()
            plan = self._plan()
            if plan is None:
                return

    def _flow(self) -> None:
        """Plan a trial whenever a worker is free, from all that is known then."""
        if waiting := self._open(self.plans):
            self._evaluate(waiting, self._take)
        while not self._is_complete():
            self.session.check_stop()
            self._evaluate(self._flowing(), self._take)

    def _flowing(self) -> Iterator[tuple[int, Entry]]:
        """Plan one by one, until as many trials as a batch has wait to be measured in peace."""
        while len(self.closer.waiting) < self.session.config.search.batch:
            plan = self._plan(1)
            if plan is None:
                return
            yield from self._open([plan])

    def _is_complete(self) -> bool:
        """Tell whether no further trial can be planned."""
        asked = sum(len(plan.trials) for plan in self.plans)
        return asked >= self.total or (bool(self.plans) and self.plans[-1].exhausted)

    def _plan(self, most: int | None = None) -> BatchPlan | None:
        """Plan what comes next and write it down; None when nothing is left."""
        plan = self.planner.plan(self.plans, self.store.table(), self.total, most)
        if plan is not None:
            self.store.append(plan.to_record())
            self.plans.append(plan)
        return plan

    def _open(self, plans: Sequence[BatchPlan]) -> list[tuple[int, Entry]]:
        return list(open_entries(plans, self.store.table()))

    def _evaluate(
        self, waiting: Iterable[tuple[int, Entry]], take: Callable[[Outcome], None]
    ) -> None:
        """Evaluate trials, measure them, and bring the views up to date.

        Args:
            waiting: Batch and proposal of each, taken when a worker is free.
            take: Told what came of each.
        """
        executor = self.session.executor(scoring_setup(self.session, self.weights))
        jobs = (self._ask(batch, entry) for batch, entry in self._hopeful(waiting))
        complete = run_retrying(executor, jobs, take, self.session.stopper, self._again)
        self.store.note("workers", **memory_use(executor))
        if not complete:
            raise Stopped
        self.session.settle()
        self.closer.measure()
        self._tell()
        self.views.refresh()

    def _take(self, outcome: Outcome) -> None:
        """Close a trial; show what there is each time as many as a batch has came in."""
        self.closer.take(outcome)
        self._closed += 1
        if self._closed % self.session.config.search.batch == 0:
            self._tell()
            self.views.refresh()

    def _again(self, job: Job, outcome: Outcome) -> Job | None:
        """Record an attempt whose worker did not survive, and ask for the next one."""
        number = int(job.key)
        failed = failed_attempts(self.store.table().trials.get(number)) + 1
        if not has_attempts_left(outcome.reason, failed):
            return None
        self.closer.take(outcome)
        trial = self.store.table().trials[number]
        return self._ask(trial.batch or 0, self.closer.entries[number])

    def _hopeful(self, waiting: Iterable[tuple[int, Entry]]) -> Iterator[tuple[int, Entry]]:
        """Give up the trials that ended the search itself each time they were tried."""
        for batch, entry in waiting:
            trial = self.store.table().trials.get(entry.trial)
            if not was_always_abandoned(trial):
                yield batch, entry
                continue
            what = f"The search was killed in each of {MOST_ABANDONED} attempts at it."
            self.closer.fail(entry.trial, "died", what, 0.0)

    def _ask(self, batch: int, entry: Entry) -> Job:
        """Record that a trial is asked (again); return its job."""
        before = self.store.table().trials.get(entry.trial)
        record: dict[str, Any] = {
            "kind": "trial_asked",
            "trial": entry.trial,
            "attempt": before.attempt + 1 if before else 1,
            "batch": batch,
            "decisions": entry.decisions,
            "proposed_by": entry.proposed_by,
            "sampler_state": dict(entry.state),
            **({"parents": list(entry.parents)} if entry.parents else {}),
        }
        self.store.append({**record, **self._describe(entry)})
        self.closer.entries[entry.trial] = entry
        payload: dict[str, Any] = {"decisions": entry.decisions}
        if entry.replays is not None:
            payload["inherited"] = self.store.table().trials[entry.replays].extra["inherited"]
        return Job(str(entry.trial), payload, apart=before is not None)

    def _describe(self, entry: Entry) -> dict[str, Any]:
        architecture = self.space.build(entry.decisions)
        return {
            "architecture": dump_architecture(architecture),
            "architecture_id": trained_id(architecture),
            "wiring": self.space.wiring(entry.decisions),
            "family": self.space.family(entry.decisions),
            **described(self.space, entry.decisions),
        }

    def _tell(self) -> None:
        table = self.store.table()
        done = len(table.finished()) + len(table.failed())
        failed = len(table.failed())
        note = f"{failed} failed" if failed else ""
        self.session.tell(EXPLORE, done, self.total, "trials", note)
