"""The confirm stage: from the front to verdicts, in five steps that each resume from the log.

Plan (nothing is trained before it is written), measure the rivals, rank with seeds A on validation,
test the named networks with seeds B, then the same networks under other recipes on validation.
Trainings that choose read no test image; a training that tests reads them once, at its end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from math import prod
from typing import Any, Final, final

from nas.cost.count import cost as counted_cost
from nas.errors import ClusterError, NasError
from nas.run_store import rebuild_views
from nas.search.confirm.candidate import SEARCHED
from nas.search.confirm.plan import (
    RECIPES,
    SEEDS_A,
    SEEDS_B,
    Plan,
    confirm_seed,
    read_plans,
)
from nas.search.confirm.planning import make_plan
from nas.search.confirm.protocol import RIVAL_KINDS, Named, Verdict, judge
from nas.search.confirm.results import (
    JUDGED,
    MEASURED,
    TEST_FAILED,
    TESTED,
    VALIDATED,
    VALIDATION_FAILED,
    Results,
    TrainingKey,
    costs,
    named_keys,
    names,
    wanted,
)
from nas.search.executors import Job, Outcome
from nas.search.executors.base import classify
from nas.search.executors.tune.early_stopping import EarlyStopping
from nas.search.exploring.history import planned_trials
from nas.search.measuring.quiet import QuietDevice
from nas.search.session import Session, Stopped
from nas.search.setups import retraining_setup
from nas.search.time_spent import TimeSpent
from nas.search.training.kept_trainings import forget_states
from nas.search.training.trainings import run_trainings
from nas.topology.graph import Architecture
from nas.topology.serial import dump_architecture

CONFIRM: Final = "confirm"
SIMPLE_PIXELS: Final = 1024
"""Largest image, in numbers, for which classifiers on raw pixels say something."""

_KINDS: Final = {
    "validation": (VALIDATED, VALIDATION_FAILED),
    "test": (TESTED, TEST_FAILED),
}

_log = logging.getLogger("nas")


def confirm(session: Session) -> None:
    """Confirm the front of a run, unless the config leaves that out."""
    if not session.config.confirm.enabled:
        return
    total = planned_trials(session.run)
    stage = session.run.table().stages.get(CONFIRM)
    if stage is None or stage.state != "finished" or stage.finish.get("planned") != total:
        session.again(CONFIRM, lambda: _Confirmation(session, total).run())


@final
class _Confirmation:
    """One pass over the confirm stage.

    Args:
        session: The session.
        total: Trials of the explore stage: the front that is confirmed is theirs.
    """

    def __init__(self, session: Session, total: int) -> None:
        self.session = session
        self.total = total
        self.device = QuietDevice(session)

    def run(self) -> Mapping[str, Any]:
        """Do what the log does not hold yet; return what the closing record says."""
        self.plan = self._planned()
        self.by_key = {each.key: each for each in self.plan.candidates}
        self._measure()
        self._train(SEEDS_A, self.by_key)
        named = self._named()
        keys = named_keys(named)
        self._train(SEEDS_B, keys)
        self._judge(named)
        if len(self.plan.recipes) > 1:
            self._train(RECIPES, keys)
        forget_states(self.session.run.path, retraining_setup(self.session))
        self._simple()
        rebuild_views(self.session.run)
        return {
            "planned": self.total,
            "recipe_hash": self.plan.recipe,
            "candidates": len(self.by_key),
            "named": keys,
        }

    def _results(self) -> Results:
        return Results(self.session.run.records())

    def _planned(self) -> Plan:
        """Return the log's plan if this front has one, else write one."""
        for plan in read_plans(self.session.run.records()):
            if plan.planned == self.total:
                return plan
        plan = make_plan(self.session, self.total)
        for each in plan.left_out:
            _log.warning("%s is left out: %s", each["name"], each["reason"])
        self.session.run.append(plan.to_record())
        return plan

    def _named(self) -> list[Named]:
        results = self._results()
        cost = costs(self.plan, results, self.session.run.table().trials)
        return names(self.plan, results, cost)

    def _measure(self) -> None:
        """Count every rival, and measure it where the search measured its members."""
        self.session.settle()
        done = self._results().measured
        for candidate in self.plan.candidates:
            if candidate.trial is not None or candidate.key in done:
                continue
            self.session.check_stop()
            spent = TimeSpent()
            found = self._look(candidate.architecture)
            seconds = round(spent.busy_s, 3)
            self.session.run.append(
                {"kind": MEASURED, "candidate": candidate.key, **found, "seconds": seconds}
            )

    def _look(self, network: Architecture) -> dict[str, Any]:
        data = self.session.material.data
        counted = counted_cost(network, data.input_shape, data.num_classes)
        measures = {
            "parameters": counted.parameters,
            "macs": counted.macs,
            "bytes": counted.bytes,
            "critical_path": counted.critical_path,
            "depth": counted.depth,
        }
        computed = {
            each.name: each.answer(float(measures[each.family])).to_dict()
            for each in self.session.goals.every
            if each.family in measures
        }
        try:
            measured = self.device.measure(network)
            values = {**computed, **measured["values"]}
            return {**measured, "measures": measures, "values": values}
        except ClusterError:
            raise  # nothing can be measured, whatever the network
        except (NasError, RuntimeError, MemoryError) as error:
            return {"measures": measures, "values": computed, "failure": classify(error)[1][:500]}

    def _train(self, purpose: str, keys: Iterable[str]) -> None:
        """Run the trainings of one purpose that the log has no end of."""
        every = wanted(self.plan, purpose, keys)
        closed = self._results().closed
        jobs = {"#".join(map(str, each)): each for each in every if each not in closed}
        done = len(every) - len(jobs)
        stage = f"{CONFIRM} {purpose}"

        def take(outcome: Outcome) -> None:
            nonlocal done
            done += 1
            self._record(purpose, jobs[outcome.key], outcome)
            self.session.tell(stage, done, len(every), "trainings")

        self.session.tell(stage, done, len(every), "trainings")
        if not jobs:
            return
        self.session.check_stop()
        waiting = [self._job(name, purpose, key) for name, key in jobs.items()]
        setup, stopping = retraining_setup(self.session), self._early_stopping(purpose)
        if not run_trainings(self.session, setup, waiting, take, stopping):
            raise Stopped
        rebuild_views(self.session.run)

    def _early_stopping(self, purpose: str) -> EarlyStopping | None:
        """Return how trainings are cut short; those that judge, or compare recipes, never are."""
        settings = self.session.config.confirm
        if purpose != SEEDS_A or settings.early_stopping == "none":
            return None
        return EarlyStopping(settings.recipe.epochs)

    def _job(self, name: str, purpose: str, training: TrainingKey) -> Job:
        part, key, recipe, index = training
        # One network per judged candidate is kept, and the first seed says which: none is chosen
        # by what it scored on test images.
        kept = purpose == SEEDS_B and index == 0 and self.by_key[key].kind == SEARCHED
        payload = {
            "architecture": dump_architecture(self.by_key[key].architecture),
            "seed": confirm_seed(self.session.config.seed, purpose, index),
            "recipe": dict(self.plan.recipes[recipe]),
            "part": part,
        }
        return Job(name, payload, keeps=str(self.session.run.path) if kept else None)

    def _record(self, purpose: str, training: TrainingKey, outcome: Outcome) -> None:
        part, key, recipe, index = training
        candidate = self.by_key[key]
        head = {
            "purpose": purpose,
            "candidate": key,
            "role": candidate.kind,
            "name": candidate.name,
            "trial": candidate.trial,
            "seed_index": index,
            "seed": confirm_seed(self.session.config.seed, purpose, index),
            "recipe_hash": recipe,
            "data": self.plan.data,
            "distillation": False,
            "seconds": round(outcome.seconds, 3),
        }
        finished, failed = _KINDS[part]
        if outcome.result is None:
            _log.warning("training %s failed: %s", outcome.key, outcome.message)
            failure = {"reason": outcome.reason, "message": (outcome.message or "")[:2000]}
            self.session.run.append({"kind": failed, **head, **failure})
        else:
            self.session.run.append({"kind": finished, **head, **outcome.result})

    def _judge(self, named: Sequence[Named]) -> None:
        """Write the verdicts down, once per plan."""
        results = self._results()
        if any(record["planned"] == self.total for record in results.judged):
            return
        keys = named_keys(named)
        verdicts = judge(
            named,
            {key: results.tests(self.plan, key) for key in keys},
            RIVAL_KINDS,
            resolution=results.resolution(self.plan),
            earlier=earlier_p_values(results),
        )
        self.session.run.append(
            {
                "kind": JUDGED,
                "planned": self.total,
                "look": len(results.judged) + 1,
                "bins": [verdict_record(each) for each in verdicts],
            }
        )

    def _simple(self) -> None:
        """Classify the raw pixels, where images are small enough for that to say something."""
        from nas.training.baselines import simple_baselines

        data = self.session.material.data
        known = any(record["kind"] == "simple_baselines" for record in self.session.run.records())
        if known or prod(data.input_shape) > SIMPLE_PIXELS:
            return
        spent = TimeSpent()
        test = self.session.material.test_part(self.session.config.confirm.test_images)
        classifiers = [asdict(each) for each in simple_baselines(data, test=test)]
        seconds = round(spent.busy_s, 3)
        self.session.run.append(
            {"kind": "simple_baselines", "classifiers": classifiers, "seconds": seconds}
        )


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as its record holds it; `p_value` is that of all its comparisons."""
    return {
        "bin": verdict.bin,
        "candidate": verdict.candidate,
        "comparisons": [
            {
                "rival": each.rival,
                "kind": each.kind,
                "pairs": each.pairs,
                "p_gain": each.p_gain,
                "difference": each.difference.to_dict() if each.difference else None,
            }
            for each in verdict.comparisons
        ],
        "p_value": verdict.p_value,
        "p_holm": verdict.p_holm,
        "outcome": verdict.outcome,
        "why": verdict.why,
    }


def earlier_p_values(results: Results) -> list[float]:
    """Return the p-values of all bins that the run judged before, which Holm counts too."""
    return [
        float(each["p_value"])
        for record in results.judged
        for each in record["bins"]
        if each["outcome"] != "no claim"
    ]
