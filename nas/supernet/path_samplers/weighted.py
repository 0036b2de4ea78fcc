"""Operations with weights are drawn more often than those without.

Under uniform draws most members hold many operations that have nothing to learn, and each kernel is
met in a small share of the steps: members full of convolutions are then trained least for what they
have to learn, and inherited scores rank them too low.
"""

from __future__ import annotations

from typing import Annotated, final

import numpy as np
from pydantic import BaseModel, Field

from nas.registry import Paper
from nas.space import AbstractSpace, Choice, OneOf
from nas.space.choices import Answer
from nas.supernet.member_sizes import every_question
from nas.supernet.path_samplers import AbstractPathSampler, Lesson, Moment, path_sampler
from nas.topology.operations import OPERATIONS


@final
class WeightedOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of `weighted`."""

    odds: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = 3.5
    """How many times as often an operation with weights is drawn as one without; 1 is uniform."""


@final
@path_sampler("weighted", Paper("Guo et al.", 2019, arxiv="1904.00420"))
class Weighted(AbstractPathSampler):
    """Draw one member per step, uniformly but for operations with weights, which come more often.

    The single path is that of the paper; the odds are this package's, found on NAS-Bench-201 by
    `benchmarks/nasbench201_supernet.py`. Between operations with weights, and in all other
    questions, draws are uniform.
    """

    Options = WeightedOptions

    def check(self, space: AbstractSpace) -> None:
        """Refuse a space in which the odds change nothing."""
        if not any(has_both(choice) for choice in every_question(space)):
            raise self.unfit(
                space,
                "None of its questions offers operations with weights beside operations without.",
                "Use 'uniform'.",
            )

    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return one lesson."""

        def ask(choice: Choice) -> Answer:
            if not has_both(choice):
                return choice.sample(moment.rng)
            return self._draw(choice, moment.rng)

        return (Lesson(self.scene.space.walk(ask)),)

    def _draw(self, choice: Choice, rng: np.random.Generator) -> Answer:
        assert isinstance(choice, OneOf)
        odds = np.where(_with_weights(choice), self.options.odds, 1.0)
        return choice.options[int(rng.choice(len(odds), p=odds / odds.sum()))].value


def has_both(choice: Choice) -> bool:
    """Tell whether a question offers operations with weights beside operations without."""
    if not isinstance(choice, OneOf):
        return False
    if not all(str(option.value) in OPERATIONS for option in choice.options):
        return False
    return len(set(_with_weights(choice))) == 2


def _with_weights(choice: OneOf) -> list[bool]:
    return [OPERATIONS.get(str(option.value)).parametric for option in choice.options]
