"""Every option and every edge equally often: strict fairness over a round of each question.

A question keeps a shuffled deck of its options and deals one card whenever it is asked; so a round
is as long as the question has options, and questions that others open have rounds of their own.
"""

from __future__ import annotations

from typing import Annotated, Any, final

import numpy as np
from pydantic import BaseModel, Field

from nas.registry import Paper
from nas.seeds import derive_seed
from nas.space import Choice, OneOf
from nas.space.choices import Answer
from nas.supernet.path_samplers import (
    AbstractPathSampler,
    Lesson,
    Moment,
    equal_lessons,
    path_sampler,
)


@final
class FairOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of `fair`."""

    members: Annotated[int, Field(ge=1, le=256)] = 1
    """Members whose gradients are added up before the weights move; as many as a question has
    options is the published rule, at as many times the cost of a step."""


@final
@path_sampler("fair", Paper("Chu et al.", 2019, arxiv="1907.01845"))
class Fair(AbstractPathSampler):
    """Deal options without replacement, and sets of edges by turning a drawn set round.

    Over as many askings as a set question has items, the drawn set stands once at every turn of a
    shuffled circle of the items, so every item is used equally often; each single answer is still
    uniform over all allowed sets.
    """

    Options = FairOptions

    def __init__(self, options: FairOptions | None = None) -> None:
        super().__init__(options)
        self._asked: dict[str, int] = {}

    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return the next members."""
        space = self.scene.space
        return equal_lessons(space.walk(self._deal) for _ in range(self.options.members))

    def _deal(self, choice: Choice) -> Answer:
        # One name may ask for different things: a depth offers what its pattern exists for.
        deck = f"{choice.name}: {choice.describe()}"
        count = self._asked.get(deck, 0)
        self._asked[deck] = count + 1
        size = len(choice.options) if isinstance(choice, OneOf) else len(choice.items)
        if size == 0:
            return choice.default()
        dealt, position = divmod(count, size)
        rng = np.random.default_rng(derive_seed(self.scene.seed, f"fair {deck}", dealt))
        order = rng.permutation(size)
        if isinstance(choice, OneOf):
            return choice.options[int(order[position])].value
        drawn = choice.sample(rng)
        assert isinstance(drawn, list)
        places = [choice.items.index(item) for item in drawn]
        return choice.ordered({choice.items[int(order[(at + position) % size])] for at in places})

    def state(self) -> dict[str, Any]:
        """Return how often each question was asked."""
        return {"asked": dict(self._asked)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take the counts."""
        self._asked = dict(state["asked"])
