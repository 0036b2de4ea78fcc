"""The explore stage: plan a batch, evaluate it, measure it, record it, until the trials are used.

Inherited scores and counted costs come from the workers in any order and are the same in every
order. Latency is measured by the driver alone, when the batch's evaluations are over and nothing
else of the search runs on the device.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, final

from nas.errors import EveryTrialFailedError, NasError, NothingFeasibleError, RunError
from nas.run_store import rebuild_views
from nas.search.executors import Job, Outcome
from nas.search.executors.base import classify
from nas.search.history import BatchPlan, Entry, planned_trials, read_plans
from nas.search.memory_use import memory_use
from nas.search.propose import Planner, Preferred
from nas.search.quantisation import completed, deployment_of, described
from nas.search.quiet import QuietDevice
from nas.search.resolve import searched_space
from nas.search.session import Session, Stopped
from nas.search.setups import scoring_setup
from nas.search.time_spent import TimeSpent
from nas.space import AbstractSpace
from nas.topology.identity import trained_id
from nas.topology.serial import architecture_text, dump_architecture

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
            fix=f"Look at the messages with `nas runs show {session.run.name}`; a smaller space, "
            "smaller images or a longer search.trial_timeout_s may help.",
        )
    kept = [trial for trial in finished if session.goals.feasible(trial.values)]
    if not kept:
        raise NothingFeasibleError(
            f"None of the {len(finished)} finished trials keeps the constraints "
            f"{' and '.join(str(each) for each in session.goals.constraints)}.",
            where=f"run '{session.run.name}'",
            why=_nearest(session),
            fix="Loosen the constraint, search a space with smaller networks, or go on with "
            f"`nas resume {session.run.name} --trials +100`.",
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
        self.space = searched_space(session.config)
        self.planner = Planner(
            self.space, session.config, session.goals, completed(self.space, preferred)
        )
        self.plans = read_plans(session.run.records())
        self.device = QuietDevice(session)

    def run(self) -> Mapping[str, Any]:
        """Evaluate batch after batch; return what the closing record says."""
        self._tell()
        if self.plans:
            self._evaluate(self.plans[-1])  # what a killed owner left open
        while True:
            self.session.check_stop()
            plan = self.planner.plan(self.plans, self.store.table(), self.total)
            if plan is None:
                break
            self.store.append(plan.to_record())
            self.plans.append(plan)
            self._evaluate(plan)
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

    def _evaluate(self, plan: BatchPlan) -> None:
        trials = self.store.table().trials
        open_entries = [
            entry
            for entry in plan.trials
            if entry.trial not in trials or trials[entry.trial].state == "asked"
        ]
        if not open_entries:
            return
        executor = self.session.executor(scoring_setup(self.session, self.weights))
        jobs = [self._ask(plan.batch, entry) for entry in open_entries]
        batch = _Batch(self.session, self.space, open_entries, self.device)
        complete = executor.run(jobs, batch.take, self.session.stopper)
        self.store.note("workers", **memory_use(executor))
        if not complete:
            raise Stopped
        self.session.settle()
        batch.measure()
        self._tell()
        rebuild_views(self.store)

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
        payload: dict[str, Any] = {"decisions": entry.decisions}
        if entry.replays is not None:
            payload["inherited"] = self.store.table().trials[entry.replays].extra["inherited"]
        return Job(str(entry.trial), payload)

    def _describe(self, entry: Entry) -> dict[str, Any]:
        architecture = self.space.build(entry.decisions)
        identity = trained_id(architecture)
        # The same network may be kept already, written with other names; the record has this form.
        with suppress(RunError):
            self.store.put_architecture(identity, architecture_text(architecture))
        return {
            "architecture": dump_architecture(architecture),
            "architecture_id": identity,
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


@final
class _Batch:
    """Takes the outcomes of one batch and closes its trials.

    Args:
        session: The session.
        space: What they were proposed from.
        entries: The trials that are open.
        device: Measures what workers cannot.
    """

    def __init__(
        self, session: Session, space: AbstractSpace, entries: list[Entry], device: QuietDevice
    ) -> None:
        self.session = session
        self.space = space
        self.device = device
        self.entries = {entry.trial: entry for entry in entries}
        self.waiting: dict[int, Outcome] = {}

    def take(self, outcome: Outcome) -> None:
        """Close a failed trial at once, and one that needs no measurement."""
        number = int(outcome.key)
        if outcome.result is None:
            self._fail(number, outcome.reason or "crash", outcome.message or "", outcome.seconds)
        elif self.session.goals.driven:
            self.waiting[number] = outcome
        else:
            self._finish(number, outcome, {"values": {}})

    def measure(self) -> None:
        """Measure the trials that wait for it, one by one, and close them."""
        for number in sorted(self.waiting):
            outcome = self.waiting[number]
            spent = TimeSpent()
            try:
                decisions = self.entries[number].decisions
                deployment = deployment_of(self.space, decisions)
                measured = self.device.estimate(self.space.build(decisions), deployment)
            except (NasError, RuntimeError, MemoryError) as error:
                reason, message = classify(error)
                self._fail(number, reason, message, outcome.seconds, spent.busy_s)
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

    def _fail(
        self, number: int, reason: str, message: str, seconds: float, measuring_s: float = 0.0
    ) -> None:
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
