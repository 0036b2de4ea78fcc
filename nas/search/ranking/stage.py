"""Ranking a run's supernet: train a stratified sample alone, score it, compare, keep the verdict.

Every finished training is a record of the run, so that a ranking goes on after `kill -9` where it
was, and a supernet that is trained anew is judged by the truths that are there. Truths of another
run of the same space, data and seed are copied in. Jobs go to the executors of the search, and no
number depends on how many workers there are.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from nas.errors import RunError
from nas.run_store import Run, rebuild_views
from nas.run_store.layout import typed
from nas.search.executors import Job, Outcome, Setup
from nas.search.executors.retries import run_retrying
from nas.search.ranking.tasks import RANK
from nas.search.session import Session, Stopped
from nas.search.settings.config import SearchConfig
from nas.search.training.kept_trainings import forget_states
from nas.search.training.trainings import run_trainings
from nas.space import Decisions
from nas.supernet.trust.calibration import CHEAP, INHERITED
from nas.supernet.trust.members import choose_members
from nas.supernet.trust.rank import RankedMember, RankReport, report
from nas.training.recipe import Recipe

TRUTH: Final = "rank_truth"
TRUTH_FAILED: Final = "rank_truth_failed"
SCORES: Final = "rank_scores"
ZERO_COST_SCORES: Final = "zero_cost_scores"
VERDICT: Final = "verdict"
ABOUT: Final = "ranking"
FINAL_REASONS: Final = ("nonfinite", "infeasible", "oom")
"""Failures that the next attempt would meet again."""

_log = logging.getLogger("nas")


@final
@dataclass(frozen=True)
class RankSettings:
    """What is trained for a ranking.

    Args:
        members: How many, the same number of each family; None takes every distinct member.
        seeds: Trainings per member, at least 2.
        recipe: Of these trainings.
        families: Which families; None takes those that have enough members.
        train: Whether members that lack trainings are trained; else those that have them all are
            compared.
    """

    members: int | None
    seeds: int
    recipe: Recipe
    families: tuple[str, ...] | None = None
    train: bool = True


def trained_weights(run: Run) -> str:
    """Return the SHA-256 of a run's supernet.

    Raises:
        RunError: If it has none.
    """
    stage = run.table().stages.get("supernet")
    if stage is None or stage.state != "finished" or stage.checkpoint is None:
        raise RunError(
            f"Run '{run.path.name}' has no trained supernet.",
            where=str(run.path),
            why="Its objectives need none, or the training was stopped or diverged.",
            fix=f"Go on with `nas resume {typed(run.path)}`, or search for error or cross_entropy.",
        )
    return stage.checkpoint


def rank(session: Session, settings: RankSettings) -> RankReport:
    """Train, score and compare; keep every result and the verdict in the run.

    Args:
        session: Of the run, owned.
        settings: What is trained.

    Raises:
        RunError: If the run has no trained supernet.
        SpaceError: If the space lacks the members, or fewer than 3 could be trained.
        Stopped: If it was left before its end; what was trained is in the log.
    """
    return _Ranking(session, settings).run()


def truths_of(
    records: Iterable[Mapping[str, Any]], recipe: str, kind: str = TRUTH
) -> dict[tuple[str, int], Mapping[str, Any]]:
    """Return the trainings with a recipe, by member and seed index."""
    return {
        (str(record["member"]), int(record["seed_index"])): record
        for record in records
        if record["kind"] == kind and record["recipe"] == recipe
    }


@final
class _Ranking:
    """One ranking of one run."""

    def __init__(self, session: Session, settings: RankSettings) -> None:
        self.session = session
        self.settings = settings
        self.weights = trained_weights(session.run)
        self.members = choose_members(
            session.space, settings.members, session.config.seed, settings.families
        )
        self.recipe = settings.recipe.recipe_hash

    def run(self) -> RankReport:
        if self.settings.train:
            self._train()
        self._score()
        self._score_untrained(self._complete_members())
        found = report(self._ranked(), self.recipe)
        calibration = found.calibration.calibration if found.calibration else None
        if calibration is not None:
            self._score_trials(set(calibration.weights) - {INHERITED, *CHEAP})
        self._keep(found)
        rebuild_views(self.session.run)
        return found

    def _train(self) -> None:
        records = self.session.run.records()
        done = set(truths_of(records, self.recipe))
        for key, record in truths_of(records, self.recipe, TRUTH_FAILED).items():
            if record["reason"] in FINAL_REASONS:
                done.add(key)
        jobs = [
            Job(f"{name}#{index}", {"what": "truth", "decisions": decisions, "index": index})
            for index in range(self.settings.seeds)
            for name, decisions in self._spread()
            if (name, index) not in done
        ]
        total = len(self.members) * self.settings.seeds
        self._perform("rank-train", jobs, self._keep_truth, "trainings", total, trained=True)
        forget_states(self.session.run.path, self._setup(()))

    def _spread(self) -> list[tuple[str, Decisions]]:
        """Return the members, families taking turns, so that a part of them is stratified too."""
        turns: Counter[str] = Counter()
        placed: list[tuple[int, int, str, Decisions]] = []
        for name, decisions in self.members.items():
            family = self.session.space.family(decisions)
            placed.append((turns[family], len(placed), name, decisions))
            turns[family] += 1
        return [(name, decisions) for _, _, name, decisions in sorted(placed, key=lambda p: p[:2])]

    def _keep_truth(self, outcome: Outcome) -> None:
        name, _, index = outcome.key.rpartition("#")
        head = {
            "member": name,
            "seed_index": int(index),
            "recipe": self.recipe,
            "family": self.session.space.family(self.members[name]),
            "decisions": self.members[name],
            "seconds": round(outcome.seconds, 3),
        }
        if outcome.result is None:
            _log.warning("training %s failed: %s", outcome.key, outcome.message)
            failure = {"reason": outcome.reason, "message": (outcome.message or "")[:2000]}
            self.session.run.append({"kind": TRUTH_FAILED, **head, **failure})
        else:
            self.session.run.append({"kind": TRUTH, **head, **outcome.result})

    def _score(self) -> None:
        done = self._scores()
        jobs = [
            Job(name, {"what": "scores", "decisions": self.members[name]})
            for name in self._complete()
            if name not in done
        ]

        failures: list[str] = []

        def keep(outcome: Outcome) -> None:
            if outcome.result is None:
                failures.append(outcome.message or "")
                _log.warning("member %s was not scored: %s", outcome.key, outcome.message)
                return
            head = {"kind": SCORES, "supernet": self.weights, "member": outcome.key}
            spent = {"seconds": round(outcome.seconds, 3)}
            self.session.run.append({**head, **outcome.result, **spent})

        self._perform("rank-score", jobs, keep, "members", len(jobs) + len(done))
        if failures and len(failures) == len(jobs) + len(done):
            raise RunError(
                f"No member could be scored: {failures[0]}",
                where=f"run '{self.session.run.name}'",
                why=f"All {len(failures)} attempts failed; this is what the first said.",
                fix="The trainings are kept: repair that and type the command again.",
            )

    def _score_trials(self, wanted: set[str]) -> None:
        """Give the trials the zero-cost scores that the calibration reads, if it reads any."""
        if wanted:
            trials = self.session.run.table().finished()
            self._score_untrained(
                {str(each.extra["architecture_id"]): dict(each.decisions or {}) for each in trials}
            )

    def _score_untrained(self, members: Mapping[str, Decisions]) -> None:
        """Give networks their zero-cost scores, which no supernet changes."""
        done = set(self._zero_cost())
        jobs = [
            Job(name, {"what": "zero_cost", "decisions": decisions})
            for name, decisions in members.items()
            if name not in done
        ]

        def keep(outcome: Outcome) -> None:
            if outcome.result is None:
                _log.warning("no zero-cost scores of %s: %s", outcome.key, outcome.message)
                return
            head = {"kind": ZERO_COST_SCORES, "member": outcome.key}
            spent = {"seconds": round(outcome.seconds, 3)}
            self.session.run.append({**head, **outcome.result, **spent})

        self._perform("rank-untrained", jobs, keep, "networks", len(members))

    def _zero_cost(self) -> dict[str, Mapping[str, Any]]:
        return {
            str(record["member"]): record["scores"]
            for record in self.session.run.records()
            if record["kind"] == ZERO_COST_SCORES
        }

    def _complete_members(self) -> dict[str, Decisions]:
        return {name: self.members[name] for name in self._complete()}

    def _perform(
        self,
        stage: str,
        jobs: list[Job],
        keep: Callable[[Outcome], None],
        unit: str,
        total: int,
        *,
        trained: bool = False,
    ) -> None:
        done = total - len(jobs)

        def take(outcome: Outcome) -> None:
            nonlocal done
            done += 1
            keep(outcome)
            self.session.tell(stage, done, total, unit)

        self.session.tell(stage, done, total, unit)
        if not jobs:
            return
        self.session.check_stop()
        if trained:
            complete = run_trainings(self.session, self._setup(()), jobs, take)
        else:
            executor = self.session.executor(self._setup((self.weights,)))
            complete = run_retrying(executor, jobs, take, self.session.stopper)
        if not complete:
            raise Stopped

    def _setup(self, weights: tuple[str, ...]) -> Setup:
        session = self.session
        data = session.material.data
        return Setup(
            RANK,
            {
                "config": session.config.to_dict(),
                "run": str(session.run.path),
                "weights": self.weights,
                "fingerprint": data.fingerprint,
                "input_shape": list(data.input_shape),
                "num_classes": data.num_classes,
                "device": str(session.device),
                "recipe": self.settings.recipe.as_dict(),
            },
            threads=session.config.search.threads_per_evaluation,
            timeout_s=session.config.confirm.timeout_s,
            memory_gib=session.config.executor.memory_gib,
            weights=weights,
        )

    def _complete(self) -> dict[str, list[Mapping[str, Any]]]:
        """Return the members whose trainings all came to an end, with them."""
        truths = truths_of(self.session.run.records(), self.recipe)
        indices = range(self.settings.seeds)
        return {
            name: [truths[name, index] for index in indices]
            for name in self.members
            if all((name, index) in truths for index in indices)
        }

    def _scores(self) -> dict[str, Mapping[str, Any]]:
        return {
            str(record["member"]): record
            for record in self.session.run.records()
            if record["kind"] == SCORES
            and record["supernet"] == self.weights
            and record["member"] in self.members
        }

    def _ranked(self) -> list[RankedMember]:
        scores, complete, counted = self._scores(), self._complete(), self._zero_cost()
        both = [
            name for name in self.members if name in scores and name in complete and name in counted
        ]
        known = [
            score
            for score in (counted[both[0]] if both else ())
            if all(counted[name].get(score) is not None for name in both)
        ]
        return [
            RankedMember(
                member=name,
                decisions=self.members[name],
                family=self.session.space.family(self.members[name]),
                inherited_cross_entropy=float(scores[name]["inherited"]["cross_entropy"]),
                inherited_error=float(scores[name]["inherited"]["error"]),
                untrained_cross_entropy=float(scores[name]["untrained"]["cross_entropy"]),
                cross_entropies=tuple(float(each["cross_entropy"]) for each in complete[name]),
                errors=tuple(float(each["error"]) for each in complete[name]),
                scores={score: float(counted[name][score]) for score in known},
            )
            for name in both
        ]

    def _keep(self, found: RankReport) -> None:
        """Write the verdict down, unless the last one says the same."""
        calibration = found.calibration.calibration.to_dict() if found.calibration else None
        record = {
            "kind": VERDICT,
            "about": ABOUT,
            "supernet": self.weights,
            "recipe": self.recipe,
            "members": len(found.members),
            **found.verdict.to_dict(),
            "calibration": calibration,
        }
        if self.session.run.table().verdicts[-1:] != [record]:
            self.session.run.append(record)


def rank_recipe(config: SearchConfig, epochs: int) -> Recipe:
    """Return the recipe of a ranking: that of `confirm`, for a number of epochs."""
    return config.confirm.recipe.model_copy(update={"epochs": epochs})
