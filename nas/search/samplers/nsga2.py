"""NSGA-II over wirings: Optuna's generations and selection, variation in the words of the space.

Optuna crosses only parameters that all members have in common, and in a space where a pattern
opens its own questions those are few. Children are therefore made by the space itself: crossover
takes a stage whole from one parent, mutation changes one answer and asks what it opens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final
from weakref import WeakKeyDictionary

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
    distributions,
    empty_study,
    encode,
    quiet_optuna,
)
from nas.space import AbstractSpace

POPULATION = 24
CROSSOVER_PROBABILITY = 0.9
MUTATION_PROBABILITY = 0.5


class _WiringNSGAII(NSGAIISampler):
    """Offers every parameter of the space to the children, not only the common ones.

    Args:
        space: Makes the children.
        history: Results.
        seed: Of all draws.
    """

    def __init__(self, space: AbstractSpace, history: Sequence[Observation], seed: int) -> None:
        self._wirings = distributions(space.choices)
        self._lineage = _lineages.setdefault(space, _Lineage())
        self._history = history
        self._generations = _by_generation(history)
        self._parents: list[FrozenTrial] | None = None
        self.variation = _Variation(space, history, seed)
        super().__init__(
            population_size=POPULATION,
            seed=seed % 2**32,
            child_generation_strategy=self.variation,
        )

    @property
    def generation_attribute(self) -> str:
        """System attribute that holds the generation of a trial."""
        return self._get_generation_key()

    def newest(self) -> list[FrozenTrial]:
        """Return the last generation: all that tells which one the next child belongs to."""
        last = max(self._generations, default=0)
        return [self.trial(place) for place in self._generations.get(last, [])]

    def trial(self, place: int) -> FrozenTrial:
        """Return a finished result as far as selection looks at it: its numbers."""
        seen = self._history[place]
        assert seen.values is not None
        trial = optuna.trial.create_trial(
            values=list(seen.values),
            system_attrs={self.generation_attribute: generation_of(seen)},
            constraints=dict(seen.violations),
        )
        trial.number = place
        return trial

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return every parameter that can ever be asked."""
        return self._wirings

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """Return the parents of a generation: the best first for the first child, then by number.

        Optuna would select those of all generations before it anew in every study.
        """
        if self._parents is not None:
            return sorted(self._parents, key=lambda parent: parent.number)
        places = self._lineage.parents(
            self._history,
            self._generations,
            generation,
            lambda population: self._select(study, population),
        )
        self._parents = [self.trial(place) for place in places]
        return self._parents

    def _select(self, study: optuna.Study, population: Sequence[int]) -> list[int]:
        trials = [self.trial(place) for place in population]
        return [trial.number for trial in self._elite_population_selection_strategy(study, trials)]


@final
class _Lineage:
    """Parents by generation, as they were selected; selected again where the results differ."""

    def __init__(self) -> None:
        self._kept: list[tuple[list[int], list[Observation], list[int]]] = []

    def parents(
        self,
        history: Sequence[Observation],
        generations: Mapping[int, list[int]],
        generation: int,
        select: Callable[[Sequence[int]], list[int]],
    ) -> list[int]:
        """Return the places in the history of the parents of a generation, best first.

        Args:
            history: Results.
            generations: Places of the finished results, by generation.
            generation: The one that has these parents.
            select: Returns the best of some places.
        """
        found: list[int] = []
        for before in range(generation):
            places = generations.get(before, [])
            members = [history[place] for place in places]
            if before < len(self._kept) and self._kept[before][:2] == (places, members):
                found = self._kept[before][2]
                continue
            found = select([*places, *found])
            self._kept[before:] = [(places, members, found)]
        return found


_lineages: WeakKeyDictionary[AbstractSpace, _Lineage] = WeakKeyDictionary()


def generation_of(seen: Observation) -> int:
    """Return the generation of a proposal; those of others belong to generation 0."""
    return int(seen.state.get("generation", 0))


def _by_generation(history: Sequence[Observation]) -> dict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for place, seen in enumerate(history):
        if seen.values is not None:
            found[seen.state.get("generation", 0)].append(place)
    return found


@final
class _Variation:
    """Makes a child: two tournaments, crossover, mutation.

    Args:
        space: Crosses and mutates members.
        history: Results by trial number.
        seed: Of all draws.
    """

    def __init__(self, space: AbstractSpace, history: Sequence[Observation], seed: int) -> None:
        self.space = space
        self.history = history
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
        child = self.history[first].decisions
        self._parents = (first,)
        if self.rng.random() < CROSSOVER_PROBABILITY:
            child = self.space.crossover(child, self.history[second].decisions, self.rng)
            self._parents = tuple(dict.fromkeys((first, second)))
        parents = (self.history[first].decisions, self.history[second].decisions)
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
            sampler = _WiringNSGAII(space, history, seed)
            study = empty_study(history, sampler)
            study.add_trials(sampler.newest())
            key = sampler.generation_attribute
            return ask_study(space, study, count, key, sampler.variation.take_parents)
