"""How far a supernet's ranking can be trusted: inherited scores beside members trained alone.

Every member (or a sample) is trained alone with one recipe and at least two seeds. Kendall's tau of
the inherited scores with the truth stands beside that of one seed with another and beside what
parameters, MACs and depth alone give. One seed with another is the ceiling of what a single
training tells; the truth is a mean over seeds, which is less noisy, so that a very good predictor
may come out a little above it.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self, final

import numpy as np
from pydantic import BaseModel, Field

from nas.cost.count import cost
from nas.errors import SpaceError
from nas.model.network import Network
from nas.seeds import derive_seed
from nas.space import AbstractSpace, Decisions
from nas.supernet.correlation import Tau, kendall_tau, tau_difference
from nas.supernet.score import RECALIBRATION_IMAGES, ScoringData, score, scoring_data
from nas.supernet.supernet import Supernet
from nas.training.batches import part_tensors
from nas.training.device import use_threads
from nas.training.evaluate import evaluate
from nas.training.fit import fit
from nas.training.parts import FiveParts
from nas.training.recipe import Recipe

MOST_MEMBERS_LISTED = 20_000
"""Largest space that is listed to find its distinct members; larger ones are sampled."""


@final
class RankConfig(BaseModel, frozen=True, extra="forbid"):
    """Settings of a ranking."""

    members: int | None = Field(default=None, ge=3, le=10_000)
    """Distinct members to train alone, drawn at random; None trains all of them."""

    seeds: int = Field(default=2, ge=2, le=100)
    """Trainings per member; two at least, or the ceiling is unknown."""

    recipe: Recipe = Recipe(epochs=10, batch_size=64)
    """How members are trained alone."""

    threads: int = Field(default=1, ge=1, le=1024)
    """Threads of torch."""

    recalibration_images: int = Field(default=RECALIBRATION_IMAGES, ge=1)
    """Most images that measure a member's statistics; the search's number, to judge its scores."""

    validation_images: int | None = Field(default=None, ge=1)
    """Most images of an inherited score; the search's number too. None takes all."""


@final
@dataclass(frozen=True)
class RankedMember:
    """One member's truth and what predicts it.

    Args:
        member: Structural id.
        decisions: Its decisions.
        wiring: Patterns of its stages.
        inherited_cross_entropy: With the supernet's weights, on validation, in nats.
        inherited_error: The same as a fraction of wrong answers.
        cross_entropies: Trained alone, one per seed, on validation.
        errors: The same as fractions of wrong answers.
        parameters: Of the stand-alone network.
        macs: Of the stand-alone network.
        depth: Parametric operations on its longest path.
    """

    member: str
    decisions: Decisions
    wiring: str
    inherited_cross_entropy: float
    inherited_error: float
    cross_entropies: tuple[float, ...]
    errors: tuple[float, ...]
    parameters: int
    macs: int
    depth: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        return values | {
            "cross_entropies": list(self.cross_entropies),
            "errors": list(self.errors),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        lists = {name: tuple(values[name]) for name in ("cross_entropies", "errors")}
        return cls(**{**values, **lists})


@final
@dataclass(frozen=True)
class Correlation:
    """How one number ranks the members against their truth, over three sets of pairs."""

    predictor: str
    all_pairs: Tau
    within: Tau
    between: Tau

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "predictor": self.predictor,
            "all": self.all_pairs.to_dict(),
            "within_families": self.within.to_dict(),
            "between_families": self.between.to_dict(),
        }


@final
@dataclass(frozen=True)
class RankReport:
    """The outcome of a ranking.

    Args:
        members: What was trained.
        correlations: The supernet first, then its error, parameters, MACs, depth, and the ceiling.
        seeds: Trainings per member.
        recipe_hash: Of the recipe of these trainings.
    """

    members: tuple[RankedMember, ...]
    correlations: tuple[Correlation, ...]
    seeds: int
    recipe_hash: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "schema": "nas.rank/1",
            "members": [member.to_dict() for member in self.members],
            "correlations": [entry.to_dict() for entry in self.correlations],
            "seeds": self.seeds,
            "recipe_hash": self.recipe_hash,
            "verdict": self.verdict(),
        }

    def verdict(self) -> str:
        """Return in one sentence what the numbers allow to say."""
        supernet, _, *sizes, ceiling = self.correlations
        best = max(sizes, key=lambda entry: _or_minus_one(entry.all_pairs.value))
        value, low = supernet.all_pairs.value, supernet.all_pairs.low
        if math.isnan(value) or low <= 0:
            return "The supernet does not rank these members: its interval includes 0."
        if value <= _or_minus_one(best.all_pairs.value):
            return f"The supernet ranks no better than {best.predictor} alone."
        lead = self._lead_over(best.predictor)
        if lead.low <= 0:
            return (
                "The supernet ranks these members, but not for sure better than "
                f"{best.predictor} alone: it leads by {lead}."
            )
        between = supernet.between
        across = "also" if not math.isnan(between.value) and between.low > 0 else "not"
        return (
            f"The supernet ranks better than parameters, MACs or depth do, {across} for sure "
            f"between wirings; the ceiling is {ceiling.all_pairs.value:+.2f}."
        )

    def _lead_over(self, predictor: str) -> Tau:
        """Return by how much better the supernet ranks than a size does."""
        numbers = _predictors(self.members)
        families = [member.wiring for member in self.members]
        first = numbers["supernet cross-entropy"]
        rival = numbers[predictor]
        return tau_difference(first, rival, _truth(self.members), families)

    def table(self) -> str:
        """Return the correlations as text."""
        families = len({member.wiring for member in self.members})
        lines = [
            f"Kendall's tau-b with members trained alone: {len(self.members)} members, "
            f"{families} wirings, {self.seeds} seeds, recipe {self.recipe_hash}",
            f"{'':<26}{'all pairs':<24}{'within a wiring':<24}{'between wirings':<24}".rstrip(),
        ]
        lines += [
            f"{entry.predictor:<26}{entry.all_pairs!s:<24}{entry.within!s:<24}"
            f"{entry.between!s:<24}".rstrip()
            for entry in self.correlations
        ]
        return "\n".join([*lines, self.verdict()])


def rank_members(
    supernet: Supernet,
    parts: FiveParts,
    config: RankConfig | None = None,
    *,
    seed: int,
    finished: Mapping[str, RankedMember] | None = None,
    on_member: Callable[[RankedMember, int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> RankReport:
    """Train members alone and compare their ranking with the supernet's.

    Args:
        supernet: Trained; on the device where members are trained too.
        parts: The data: weights' part to train, validation to score.
        config: Settings.
        seed: Of the run: chooses members, and each training's seeds.
        finished: Members trained before, by id; they are not trained again.
        on_member: Called with each newly trained member, how many are done, and how many in all.
        should_stop: Asked before each member; the report then covers those that are done.

    Raises:
        SpaceError: If fewer than three members can be compared.
    """
    settings = config or RankConfig()
    chosen = choose_members(supernet.space, settings.members, derive_seed(seed, "rank", 0))
    done = {name: entry for name, entry in (finished or {}).items() if name in chosen}
    device = supernet.weights.anchor.device
    with use_threads(settings.threads):
        data = scoring_data(
            parts,
            seed,
            device=device,
            recalibration_images=settings.recalibration_images,
            validation_images=settings.validation_images,
        )
        for name, decisions in chosen.items():
            if name in done:
                continue
            if should_stop is not None and should_stop():
                break
            done[name] = _train_member(supernet, parts, data, settings, seed, name, decisions)
            if on_member is not None:
                on_member(done[name], len(done), len(chosen))
    return report([done[name] for name in chosen if name in done], settings)


def choose_members(space: AbstractSpace, count: int | None, seed: int) -> dict[str, Decisions]:
    """Return distinct members by structural id: all of them, or `count` drawn at random.

    Raises:
        SpaceError: If all members of a space too large to list are asked for.
    """
    rng = np.random.default_rng(seed)
    if space.count() <= MOST_MEMBERS_LISTED:
        members: dict[str, Decisions] = {}
        for decisions in space.enumerate():
            members.setdefault(space.member_id(decisions), decisions)
        names = list(members)
        if count is not None and count < len(names):
            names = [names[index] for index in sorted(rng.permutation(len(names))[:count])]
        return {name: members[name] for name in names}
    if count is None:
        raise SpaceError(
            f"The space '{space.name}' has {space.count():,} members, too many to train all.",
            fix="Say how many to draw, for example members=100.",
        )
    drawn: dict[str, Decisions] = {}
    for _ in range(100 * count):
        decisions = space.sample(rng)
        drawn.setdefault(space.member_id(decisions), decisions)
        if len(drawn) == count:
            break
    return drawn


def _train_member(
    supernet: Supernet,
    parts: FiveParts,
    data: ScoringData,
    settings: RankConfig,
    seed: int,
    name: str,
    decisions: Decisions,
) -> RankedMember:
    space = supernet.space
    architecture = space.build(decisions)
    supernet.eval()
    inherited = score(supernet, architecture, data)
    images, labels = part_tensors(parts.validation, data.images.device)
    truths = []
    for index in range(settings.seeds):
        own = derive_seed(seed, "alone", index)
        network = Network(
            architecture,
            supernet.input_shape,
            supernet.num_classes,
            initialisation="default",  # the truth is what training alone gives
            seed=own,
        )
        fit(network, parts.weights, settings.recipe, seed=own, device=data.images.device)
        truths.append(evaluate(network, images, labels))
    sizes = cost(architecture, supernet.input_shape, supernet.num_classes)
    return RankedMember(
        member=name,
        decisions=decisions,
        wiring=space.wiring(decisions),
        inherited_cross_entropy=inherited.cross_entropy,
        inherited_error=inherited.error,
        cross_entropies=tuple(truth.cross_entropy for truth in truths),
        errors=tuple(truth.error for truth in truths),
        parameters=sizes.parameters,
        macs=sizes.macs,
        depth=sizes.depth,
    )


def report(members: Sequence[RankedMember], settings: RankConfig) -> RankReport:
    """Correlate finished members.

    Raises:
        SpaceError: If there are fewer than three.
    """
    if len(members) < 3:
        raise SpaceError(
            f"{len(members)} members cannot be ranked; at least 3 are needed.",
            fix="Train more members, or use a larger space.",
        )
    truth = _truth(members)
    families = [member.wiring for member in members]
    found = [
        _correlation(name, values, truth, families) for name, values in _predictors(members).items()
    ]
    return RankReport(
        tuple(members),
        (*found, _ceiling(members, families)),
        settings.seeds,
        settings.recipe.recipe_hash,
    )


def _truth(members: Sequence[RankedMember]) -> list[float]:
    return [statistics.fmean(member.cross_entropies) for member in members]


def _predictors(members: Sequence[RankedMember]) -> dict[str, list[float]]:
    """Return what may rank members, smaller meaning better, the supernet's numbers first."""
    return {
        "supernet cross-entropy": [member.inherited_cross_entropy for member in members],
        "supernet error": [member.inherited_error for member in members],
        "parameters (more)": [-float(member.parameters) for member in members],
        "MACs (more)": [-float(member.macs) for member in members],
        "depth (more)": [-float(member.depth) for member in members],
    }


def _correlation(
    name: str, values: Sequence[float], truth: Sequence[float], families: Sequence[str]
) -> Correlation:
    return Correlation(
        name,
        kendall_tau(values, truth, families),
        kendall_tau(values, truth, families, "within"),
        kendall_tau(values, truth, families, "between"),
    )


def _ceiling(members: Sequence[RankedMember], families: Sequence[str]) -> Correlation:
    """Return the mean over pairs of seeds of how one seed ranks the members of another."""
    by_seed = list(zip(*(member.cross_entropies for member in members), strict=True))
    found = [
        _correlation("", first, second, families)
        for first, second in itertools.combinations(by_seed, 2)
    ]

    def mean(taus: list[Tau]) -> Tau:
        return Tau(
            statistics.fmean(tau.value for tau in taus),
            statistics.fmean(tau.low for tau in taus),
            statistics.fmean(tau.high for tau in taus),
        )

    return Correlation(
        "another seed (ceiling)",
        mean([entry.all_pairs for entry in found]),
        mean([entry.within for entry in found]),
        mean([entry.between for entry in found]),
    )


def _or_minus_one(value: float) -> float:
    return -1.0 if math.isnan(value) else value
