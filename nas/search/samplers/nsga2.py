"""NSGA-II over wirings: Optuna's generations and selection, variation in the words of the space.

Optuna crosses only parameters that all members have in common, and in a space where a pattern
opens its own questions those are few. Children are therefore made by the space itself: crossover
takes a stage whole from one parent, mutation changes one answer and asks what it opens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import NSGAIISampler
from optuna.trial import FrozenTrial

from nas.pareto import ranks
from nas.registry import Paper
from nas.search.samplers.base import SAMPLERS, AbstractSampler, Observation, Proposal
from nas.search.samplers.encoding import (
    ask_study,
    build_study,
    distributions,
    encode,
    quiet_optuna,
)
from nas.space import AbstractSpace, Decisions

POPULATION = 24
CROSSOVER_PROBABILITY = 0.9
MUTATION_PROBABILITY = 0.5


class _WiringNSGAII(NSGAIISampler):
    """Offers every parameter of the space to the children, not only the common ones."""

    def __init__(self, space: AbstractSpace, members: Sequence[Decisions], seed: int) -> None:
        self._wirings = distributions(space.choices)
        self.variation = _Variation(space, members, seed)
        super().__init__(
            population_size=POPULATION,
            seed=seed % 2**32,
            child_generation_strategy=self.variation,
        )

    @property
    def generation_attribute(self) -> str:
        """System attribute that holds the generation of a trial."""
        return self._get_generation_key()

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return every parameter that can ever be asked."""
        return self._wirings


@final
class _Variation:
    """Makes a child: two tournaments, crossover, mutation.

    Args:
        space: Crosses and mutates members.
        members: Decisions by trial number.
        seed: Of all draws.
    """

    def __init__(self, space: AbstractSpace, members: Sequence[Decisions], seed: int) -> None:
        self.space = space
        self.members = members
        self.rng = np.random.default_rng(seed)
        self._ranks: dict[int, int] = {}
        self._parents: tuple[int, ...] = ()

    def take_parents(self) -> tuple[int, ...]:
        """Return the parents of the last child once; a random member has none."""
        found, self._parents = self._parents, ()
        return found

    def __call__(
        self,
        study: optuna.Study,
        search_space: dict[str, BaseDistribution],
        population: list[FrozenTrial],
    ) -> dict[str, Any]:
        if not self._ranks:
            self._ranks = _rank(population)
        first, second = self._select(population), self._select(population)
        child = self.members[first]
        self._parents = (first,)
        if self.rng.random() < CROSSOVER_PROBABILITY:
            child = self.space.crossover(child, self.members[second], self.rng)
            self._parents = tuple(dict.fromkeys((first, second)))
        parents = (self.members[first], self.members[second])
        if child in parents or self.rng.random() < MUTATION_PROBABILITY:
            child = self.space.mutate(child, self.rng)
        return encode(self.space, child)

    def _select(self, population: list[FrozenTrial]) -> int:
        """Return the number of the better of two random parents."""
        picks = self.rng.integers(len(population), size=2)
        numbers = [population[int(pick)].number for pick in picks]
        return min(numbers, key=lambda number: self._ranks[number])


def _rank(population: list[FrozenTrial]) -> dict[int, int]:
    """Rank by constraint violation first, then by front."""
    violations = [_violation(trial) for trial in population]
    fronts = ranks([trial.values for trial in population], np.array(violations) <= 0)
    order = [(violation, int(front)) for violation, front in zip(violations, fronts, strict=True)]
    places = {place: index for index, place in enumerate(sorted(set(order)))}
    return {trial.number: places[place] for trial, place in zip(population, order, strict=True)}


def _violation(trial: FrozenTrial) -> float:
    return sum(max(0.0, value) for value in trial.constraints.values())


@SAMPLERS.register("nsga2", Paper("Deb et al.", 2002, title="NSGA-II, doi:10.1109/4235.996017"))
@final
class Nsga2Sampler(AbstractSampler):
    """Genetic search by non-dominated sorting.

    A trial's generation is kept with its record: it depends on what was finished when the trial
    was proposed, which the finished trials alone no longer tell. Members that others proposed
    (hand-made wirings) belong to generation 0.
    """

    def propose(
        self, space: AbstractSpace, history: Sequence[Observation], count: int, seed: int
    ) -> list[Proposal]:
        """Return children of the best so far; random members in the first generation."""
        with quiet_optuna():
            sampler = _WiringNSGAII(space, [seen.decisions for seen in history], seed)
            key = sampler.generation_attribute
            attributes = [{key: int(seen.state.get("generation", 0))} for seen in history]
            study = build_study(space, history, sampler, attributes)
            return ask_study(space, study, count, key, sampler.variation.take_parents)
