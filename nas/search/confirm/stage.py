"""The confirm stage: the front trained from scratch beside hand-made and random networks.

Who is trained is decided from validation results alone and written to the log before the first
training; every network gets the same recipe (one hash) and, per seed, the same order of the same
images; the test part is read once per training, at its end, and chooses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import prod
from statistics import median
from typing import Any, final

import numpy as np

from nas.cost.count import cost
from nas.errors import NasError
from nas.model.published import published_like
from nas.run_store import Trial, rebuild_views
from nas.search.executors import Job, Outcome, Setup
from nas.search.executors.base import classify
from nas.search.front_view import front_trials
from nas.search.history import planned_trials
from nas.search.quiet import QuietDevice
from nas.search.session import Session, Stopped
from nas.search.tasks import RETRAIN
from nas.seeds import derive_seed
from nas.space import Decisions
from nas.topology.graph import Architecture
from nas.topology.identity import structural_id
from nas.topology.serial import dump_architecture, load_architecture

CONFIRM = "confirm"
PLAN_KIND = "confirm_planned"
HAND_MADE = ("residual", "dense", "fractal", "hierarchical", "chain", "harmonic")
"""Hand-made wirings in the order in which a small budget takes them."""

PUBLISHED = ("resnet", "densenet_bc", "fractalnet")
SIMPLE_PIXELS = 1024
"""Largest image, in numbers, for which classifiers on raw pixels say something."""

_log = logging.getLogger("nas")


def confirm(session: Session) -> None:
    """Train the front and its baselines, unless the config leaves that out."""
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
        self.settings = session.config.confirm
        self.recipe = self.settings.recipe.recipe_hash
        self.device = QuietDevice(session)

    def run(self) -> Mapping[str, Any]:
        """Plan, measure, train; return what the closing record says."""
        candidates = self._planned()
        self._measure(candidates)
        self._train(candidates)
        self._simple()
        return {
            "planned": self.total,
            "recipe_hash": self.recipe,
            "candidates": len(candidates),
            "front_left_out": len(front_trials(self.session.run))
            - sum(each["kind"] == "front" for each in candidates),
        }

    def _planned(self) -> list[dict[str, Any]]:
        """Return who is trained; the log's plan if this front has one."""
        for record in self.session.run.records():
            if record["kind"] == PLAN_KIND and record["planned"] == self.total:
                return [dict(each) for each in record["candidates"]]
        candidates = list(self._candidates())
        self.session.run.append(
            {
                "kind": PLAN_KIND,
                "planned": self.total,
                "recipe_hash": self.recipe,
                "candidates": candidates,
            }
        )
        return candidates

    def _candidates(self) -> Iterator[dict[str, Any]]:
        points = front_trials(self.session.run)
        chosen = spread(points, self.settings.max_points)
        if len(chosen) < len(points):
            _log.info("%d of the %d points of the front are trained", len(chosen), len(points))
        for trial in chosen:
            key = f"trial-{trial.number}"
            yield self._candidate(key, "front", key, load_architecture(trial.architecture), trial)
        yield from self._members()
        if self.settings.baselines.published:
            yield from self._published(chosen)

    def _members(self) -> Iterator[dict[str, Any]]:
        space, baselines = self.session.space, self.settings.baselines
        known = space.known()
        ordered = sorted(known, key=lambda name: HAND_MADE.index(name) if name in HAND_MADE else 99)
        for name in ordered[: baselines.hand_made]:
            yield self._member(f"hand_made-{name}", "hand_made", name, known[name])
        for index in range(baselines.random):
            rng = np.random.default_rng(
                derive_seed(self.session.config.seed, "random baseline", index)
            )
            yield self._member(f"random-{index}", "random", f"random-{index}", space.sample(rng))

    def _member(self, key: str, kind: str, name: str, decisions: Decisions) -> dict[str, Any]:
        return self._candidate(key, kind, name, self.session.space.build(decisions), None)

    def _published(self, chosen: list[Trial]) -> Iterator[dict[str, Any]]:
        data = self.session.material.data
        macs = round(median(trial.extra["measures"]["macs"] for trial in chosen))
        for name in PUBLISHED:
            try:
                network = published_like(name, data.input_shape, data.num_classes, macs)
                cost(network, data.input_shape, data.num_classes)
            except NasError as error:
                _log.warning("the published %s is left out: %s", name, error.what)
                continue
            # Its size follows the front's: after more trials it may be another network.
            key = f"published-{name}-{structural_id(network)[-8:]}"
            yield self._candidate(key, "hand_made", f"published {name}", network)

    def _candidate(
        self, key: str, kind: str, name: str, network: Architecture, trial: Trial | None = None
    ) -> dict[str, Any]:
        return {
            "key": key,
            "kind": kind,
            "name": name,
            "trial": trial.number if trial else None,
            "wiring": "-".join(network.wiring) or name,
            "architecture_id": structural_id(network),
            "architecture": dump_architecture(network),
        }

    def _measure(self, candidates: list[dict[str, Any]]) -> None:
        """Count every network, and measure it where the search measured its members."""
        self.session.settle()
        done = self._keys("confirm_measured")
        for candidate in candidates:
            if candidate["key"] in done:
                continue
            self.session.check_stop()
            self.session.run.append(
                {"kind": "confirm_measured", "candidate": candidate["key"], **self._look(candidate)}
            )

    def _look(self, candidate: Mapping[str, Any]) -> dict[str, Any]:
        network = load_architecture(candidate["architecture"])
        data = self.session.material.data
        counted = cost(network, data.input_shape, data.num_classes)
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
        except (NasError, RuntimeError, MemoryError) as error:
            return {"measures": measures, "values": computed, "failure": classify(error)[1][:500]}

    def _keys(self, kind: str) -> set[str]:
        return {
            str(record["candidate"])
            for record in self.session.run.records()
            if record["kind"] == kind
        }

    def _train(self, candidates: list[dict[str, Any]]) -> None:
        by_key = {str(candidate["key"]): candidate for candidate in candidates}
        jobs = self._jobs(by_key)
        total = len(by_key) * self.settings.seeds
        done = total - len(jobs)

        def take(outcome: Outcome) -> None:
            nonlocal done
            done += 1
            self._record(by_key, outcome)
            self.session.tell(CONFIRM, done, total, "trainings")

        self.session.tell(CONFIRM, done, total, "trainings")
        if not jobs:
            return
        if not self.session.executor(self._setup()).run(jobs, take, self.session.stopper):
            raise Stopped
        rebuild_views(self.session.run)

    def _jobs(self, by_key: Mapping[str, Mapping[str, Any]]) -> list[Job]:
        closed = {
            (str(record["candidate"]), int(record["seed_index"]))
            for record in self.session.run.records()
            if record["kind"] in ("confirm_finished", "confirm_failed")
        }
        return [
            Job(
                f"{key}#{index}",
                {
                    "architecture": candidate["architecture"],
                    "seed": self._seed(index),
                    "recipe": self.recipe,
                },
            )
            for index in range(self.settings.seeds)
            for key, candidate in by_key.items()
            if (key, index) not in closed
        ]

    def _seed(self, index: int) -> int:
        # One seed for all networks: paired trainings see the same images in the same order.
        return derive_seed(self.session.config.seed, "confirm", index)

    def _record(self, by_key: Mapping[str, Mapping[str, Any]], outcome: Outcome) -> None:
        key, _, index = outcome.key.rpartition("#")
        candidate = by_key[key]
        head = {
            "candidate": key,
            "role": candidate["kind"],
            "name": candidate["name"],
            "trial": candidate["trial"],
            "seed_index": int(index),
            "seed": self._seed(int(index)),
            "seconds": round(outcome.seconds, 3),
        }
        if outcome.result is None:
            _log.warning("training %s failed: %s", outcome.key, outcome.message)
            failure = {"reason": outcome.reason, "message": (outcome.message or "")[:2000]}
            self.session.run.append({"kind": "confirm_failed", **head, **failure})
        else:
            self.session.run.append({"kind": "confirm_finished", **head, **outcome.result})

    def _setup(self) -> Setup:
        session = self.session
        return Setup(
            RETRAIN,
            {
                "config": dict(session.run.config),
                "fingerprint": session.material.data.fingerprint,
                "device": str(session.device),
            },
            threads=session.config.search.threads_per_evaluation,
            timeout_s=self.settings.timeout_s,
            memory_gib=session.config.executor.memory_gib,
        )

    def _simple(self) -> None:
        """Classify the raw pixels, where images are small enough for that to say something."""
        from nas.training.baselines import simple_baselines

        data = self.session.material.data
        known = any(record["kind"] == "simple_baselines" for record in self.session.run.records())
        if known or prod(data.input_shape) > SIMPLE_PIXELS:
            return
        test = self.session.material.test_part(self.settings.test_images)
        classifiers = [asdict(each) for each in simple_baselines(data, test=test)]
        self.session.run.append({"kind": "simple_baselines", "classifiers": classifiers})


def spread(points: list[Trial], limit: int | None) -> list[Trial]:
    """Return at most `limit` points, both ends of the front and evenly between them."""
    if limit is None or len(points) <= limit:
        return points
    places = np.unique(np.round(np.linspace(0, len(points) - 1, limit)).astype(int))
    return [points[int(place)] for place in places]
