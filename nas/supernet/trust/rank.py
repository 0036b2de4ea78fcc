"""How far a supernet's ranking can be trusted: inherited scores beside members trained alone.

Everything here is arithmetic on finished members: who was trained, what each scored alone with
every seed, and every number that may predict it. `nas.search.ranking.stage` obtains those and keeps
them in the run; `nas.supernet.trust.verdict` holds the rule of the verdict.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, final

from nas.errors import SpaceError
from nas.space import Decisions
from nas.supernet.trust.calibration import (
    INHERITED,
    LEAST_ANCHORS,
    Anchors,
    CrossValidated,
    anchors_needed,
    calibrate,
)
from nas.supernet.trust.correlation import (
    METHODS,
    NOTHING,
    PAIR_SETS,
    Draws,
    Estimate,
    MemberPairs,
    Method,
    PairSet,
    mean_draws,
)
from nas.supernet.trust.noise import TOP, Noise, pooled_noise, random_regret, top_regret
from nas.supernet.trust.verdict import Evidence, Verdict, judge

Role = Literal["supernet", "calibrated", "control", "trivial", "zero-cost", "ceiling"]
BASELINES: tuple[Role, ...] = ("trivial", "zero-cost")
ANCHORS_TRIED = (3, 5, 8, 12, 16)

SUPERNET = "supernet cross-entropy"
CALIBRATED = "calibrated (held out)"
CEILING = "another seed (ceiling)"


@final
@dataclass(frozen=True)
class RankedMember:
    """One member's truth and everything that predicts it.

    Args:
        member: Structural id.
        decisions: Its decisions.
        family: The pattern of all its stages, or `mixed`.
        inherited_cross_entropy: With the supernet's weights, on validation, in nats.
        inherited_error: The same as a fraction of wrong answers.
        untrained_cross_entropy: The same with an untrained supernet's weights: the control.
        cross_entropies: Trained alone, one per seed, on validation.
        errors: The same as fractions of wrong answers.
        scores: Zero-cost scores by name, those that only count included; larger is better.
    """

    member: str
    decisions: Decisions
    family: str
    inherited_cross_entropy: float
    inherited_error: float
    untrained_cross_entropy: float
    cross_entropies: tuple[float, ...]
    errors: tuple[float, ...]
    scores: Mapping[str, float]

    @property
    def truth(self) -> float:
        """Mean cross-entropy over seeds, in nats."""
        return statistics.fmean(self.cross_entropies)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "member": self.member,
            "decisions": self.decisions,
            "family": self.family,
            "inherited_cross_entropy": self.inherited_cross_entropy,
            "inherited_error": self.inherited_error,
            "untrained_cross_entropy": self.untrained_cross_entropy,
            "cross_entropies": list(self.cross_entropies),
            "errors": list(self.errors),
            "scores": dict(self.scores),
        }


@final
@dataclass(frozen=True)
class Predictor:
    """How one number ranks the members.

    Args:
        name: What it is.
        role: What it is for.
        estimates: By method, pair set and whether open pairs are left out.
        leads: By pair set, how far the supernet's tau is ahead of it, paired; the calibrated
            prediction has no lead of its own.
        regret: Of the best of its top five, in nats; None for the ceiling.
    """

    name: str
    role: Role
    estimates: Mapping[tuple[Method, PairSet, bool], Estimate]
    leads: Mapping[PairSet, Estimate] = field(default_factory=dict)
    regret: float | None = None

    def tau(self, pairs: PairSet = "all", *, resolvable: bool = False) -> Estimate:
        """Return its tau-b."""
        return self.estimates["tau", pairs, resolvable]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""

        def table(method: Method, resolvable: bool) -> dict[str, Any]:
            return {
                pairs: self.estimates[method, pairs, resolvable].to_dict() for pairs in PAIR_SETS
            }

        return {
            "predictor": self.name,
            "role": self.role,
            **{method: table(method, False) for method in METHODS},
            **{f"{method}_resolvable": table(method, True) for method in METHODS},
            "supernet_leads_by": {pairs: lead.to_dict() for pairs, lead in self.leads.items()},
            "regret_of_top": self.regret,
        }


@final
@dataclass(frozen=True)
class RankReport:
    """The outcome of a ranking.

    Args:
        members: What was trained.
        predictors: The supernet first, the ceiling last.
        noise: Spread over seeds.
        pairs: By pair set, how many there are and how many of them noise leaves open.
        families: By family: members, the supernet's tau inside it and its ceiling.
        random_regret: Expected regret of five members drawn at random, in nats.
        calibration: The fitted predictor; None with too few members.
        anchors: Held-out tau of calibrations from few anchors, by anchors per family.
        verdict: What the numbers allow to say.
        recipe_hash: Of the recipe of these trainings.
    """

    members: tuple[RankedMember, ...]
    predictors: tuple[Predictor, ...]
    noise: Noise
    pairs: Mapping[PairSet, tuple[int, int]]
    families: Mapping[str, tuple[int, Estimate, Estimate]]
    random_regret: float
    calibration: CrossValidated | None
    anchors: Mapping[int, Mapping[str, float]]
    verdict: Verdict
    recipe_hash: str

    def predictor(self, name: str) -> Predictor:
        """Return the predictor called `name`."""
        return next(each for each in self.predictors if each.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values, schema `nas.rank/2`."""
        return {
            "schema": "nas.rank/2",
            "recipe_hash": self.recipe_hash,
            "seeds": self.noise.seeds,
            "noise": self.noise.to_dict(),
            "pairs": {
                name: {"all": count, "open": unresolved}
                for name, (count, unresolved) in self.pairs.items()
            },
            "families": {
                name: {"members": count, "tau": tau.to_dict(), "ceiling": ceiling.to_dict()}
                for name, (count, tau, ceiling) in self.families.items()
            },
            "predictors": [each.to_dict() for each in self.predictors],
            "random_regret_of_top": self.random_regret,
            "top": TOP,
            "calibration": self._calibration(),
            "verdict": self.verdict.to_dict(),
            "members": [member.to_dict() for member in self.members],
        }

    def _calibration(self) -> dict[str, Any] | None:
        if self.calibration is None:
            return None
        return {
            **self.calibration.calibration.to_dict(),
            "taus": dict(self.calibration.taus),
            "held_out": list(self.calibration.held_out),
            "anchors_per_family": {
                str(count): {key: None if math.isnan(tau) else tau for key, tau in taus.items()}
                for count, taus in self.anchors.items()
            },
        }


def report(members: Sequence[RankedMember], recipe_hash: str) -> RankReport:
    """Compare everything that predicts finished members with their truth.

    Raises:
        SpaceError: If there are fewer than three members.
    """
    if len(members) < 3:
        raise SpaceError(
            f"{len(members)} members cannot be ranked; at least 3 are needed.",
            fix="Train more members, or use a larger space.",
        )
    return _Comparison(members, recipe_hash).report()


@final
class _Comparison:
    """The members of one report, their pairs and their bootstrap."""

    def __init__(self, members: Sequence[RankedMember], recipe_hash: str) -> None:
        self.members = tuple(members)
        self.recipe_hash = recipe_hash
        self.truth = [member.truth for member in members]
        self.families = tuple(member.family for member in members)
        self.noise = pooled_noise([member.cross_entropies for member in members])
        self.pairs = MemberPairs(self.families, self.noise.open_pairs(self.truth))
        self.anchors = Anchors(self._features(), self.families)
        enough = len(members) >= LEAST_ANCHORS
        self.calibration = calibrate(self.anchors, self.truth) if enough else None

    def _features(self) -> dict[str, list[float]]:
        names = self.members[0].scores
        inherited = {INHERITED: [member.inherited_cross_entropy for member in self.members]}
        return inherited | {
            name: [member.scores[name] for member in self.members] for name in names
        }

    def report(self) -> RankReport:
        predictors = tuple(self._predictors())
        counts = Counter(self.families)
        return RankReport(
            members=self.members,
            predictors=predictors,
            noise=self.noise,
            pairs={name: self._counted(name) for name in PAIR_SETS},
            families={name: self._family(name) for name in sorted(counts)},
            random_regret=random_regret(self.truth),
            calibration=self.calibration,
            anchors=(
                anchors_needed(self.anchors, self.truth, ANCHORS_TRIED) if self.calibration else {}
            ),
            verdict=self._verdict(predictors, counts),
            recipe_hash=self.recipe_hash,
        )

    def _counted(self, pairs: PairSet) -> tuple[int, int]:
        count = self.pairs.count(pairs)
        return count, count - self.pairs.count(pairs, resolvable=True)

    def _family(self, name: str) -> tuple[int, Estimate, Estimate]:
        own = [member for member in self.members if member.family == name]
        if len(own) < 3:
            return len(own), NOTHING, NOTHING
        pairs = MemberPairs([name] * len(own))
        inherited = [member.inherited_cross_entropy for member in own]
        tau = pairs.correlate("tau", inherited, [member.truth for member in own])
        return len(own), tau.estimate(), _ceiling(own, pairs, "tau", "all", False).estimate()

    def _columns(self) -> Iterator[tuple[str, Role, Sequence[float]]]:
        """Yield what may rank members, smaller meaning better, the supernet first."""
        yield SUPERNET, "supernet", [each.inherited_cross_entropy for each in self.members]
        yield "supernet error", "supernet", [each.inherited_error for each in self.members]
        if self.calibration is not None:
            yield CALIBRATED, "calibrated", self.calibration.held_out
        untrained = [each.untrained_cross_entropy for each in self.members]
        yield "untrained supernet (control)", "control", untrained
        for name in self.members[0].scores:
            role: Role = "trivial" if name in ("parameters", "macs", "depth") else "zero-cost"
            yield name, role, [-member.scores[name] for member in self.members]

    def _predictors(self) -> Iterator[Predictor]:
        own = {pairs: self._tau(next(self._columns())[2], pairs) for pairs in PAIR_SETS}
        for name, role, values in self._columns():
            draws = {key: self._draws(values, *key) for key in _keys()}
            leads = {
                pairs: (own[pairs] - draws["tau", pairs, False]).estimate() for pairs in PAIR_SETS
            }
            yield Predictor(
                name,
                role,
                {key: each.estimate() for key, each in draws.items()},
                {} if role == "supernet" else leads,
                top_regret(values, self.truth),
            )
        ceiling = {key: _ceiling(self.members, self.pairs, *key).estimate() for key in _keys()}
        yield Predictor(CEILING, "ceiling", ceiling)

    def _draws(
        self, values: Sequence[float], method: Method, pairs: PairSet, resolvable: bool
    ) -> Draws:
        return self.pairs.correlate(method, values, self.truth, pairs, resolvable=resolvable)

    def _tau(self, values: Sequence[float], pairs: PairSet) -> Draws:
        return self._draws(values, "tau", pairs, False)

    def _verdict(self, predictors: Sequence[Predictor], counts: Mapping[str, int]) -> Verdict:
        within = self._evidence(predictors, SUPERNET, "within")
        known = self.calibration is not None
        across = self._evidence(predictors, CALIBRATED, "between") if known else None
        return judge(within, across, counts)

    def _evidence(self, predictors: Sequence[Predictor], name: str, pairs: PairSet) -> Evidence:
        judged = next(each for each in predictors if each.name == name)
        rivals = [each for each in predictors if each.role in BASELINES]
        best = max(rivals, key=lambda each: _or_minus_one(each.tau(pairs).value))
        columns = {column: values for column, _, values in self._columns()}
        lead = self._tau(columns[name], pairs) - self._tau(columns[best.name], pairs)
        return Evidence(
            predictor=name,
            tau=judged.tau(pairs),
            ceiling=predictors[-1].tau(pairs),
            baseline=best.name,
            baseline_tau=best.tau(pairs),
            lead=lead.estimate(),
        )


def _keys() -> Iterator[tuple[Method, PairSet, bool]]:
    yield from itertools.product(METHODS, PAIR_SETS, (False, True))


def _ceiling(
    members: Sequence[RankedMember],
    pairs: MemberPairs,
    method: Method,
    which: PairSet,
    resolvable: bool,
) -> Draws:
    """Return the mean over pairs of seeds of how one seed ranks the members of another."""
    by_seed = list(zip(*(member.cross_entropies for member in members), strict=True))
    return mean_draws(
        [
            pairs.correlate(method, first, second, which, resolvable=resolvable)
            for first, second in itertools.combinations(by_seed, 2)
        ]
    )


def _or_minus_one(value: float) -> float:
    return -1.0 if math.isnan(value) else value
