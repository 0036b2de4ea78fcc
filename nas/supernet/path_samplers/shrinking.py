"""Progressive shrinking: all at the largest first, then depth, width and in-degree open up."""

from __future__ import annotations

from math import ceil, comb
from typing import Annotated, Literal, final

import numpy as np
from pydantic import BaseModel, Field, model_validator

from nas.registry import Paper
from nas.space import AbstractSpace, Choice, OneOf, SubsetOf
from nas.space.choices import Answer
from nas.supernet.member_sizes import every_question, is_open, is_size
from nas.supernet.path_samplers import AbstractPathSampler, Lesson, Moment, path_sampler

Kind = Literal["depth", "width", "in_degree"]


@final
class ShrinkingOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of `shrinking`."""

    order: tuple[Kind, ...] = ("depth", "width", "in_degree")
    """What opens, in this order; what is left out is open from the start."""

    largest_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Share of the training before the first phase."""

    open_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Share of the training behind the last phase, with everything open."""

    @model_validator(mode="after")
    def _phases_have_room(self) -> ShrinkingOptions:
        if self.largest_share + self.open_share >= 1 or len(set(self.order)) < len(self.order):
            raise ValueError("the two shares must leave room for phases, each named once")
        return self


@final
@path_sampler("shrinking", Paper("Cai et al.", 2019, arxiv="1908.09791"))
class Shrinking(AbstractPathSampler):
    """Open one kind of question after the other, each from its largest answer downwards.

    A depth is any other number that is not a width, a width an elastic number, an in-degree a set
    of edges; patterns, operations and merges are drawn uniformly from the start. The published
    recipe also distils from the largest member: set `distillation` for that.
    """

    Options = ShrinkingOptions

    def check(self, space: AbstractSpace) -> None:
        """Refuse a space in which nothing can shrink."""
        if not self._phases(space):
            raise self.unfit(
                space,
                f"None of {', '.join(self.options.order) or 'no kind'} is open in it, so nothing "
                "can shrink.",
                "Open a depth, a width or edges in the space, or use 'uniform'.",
            )

    def _phases(self, space: AbstractSpace) -> list[Kind]:
        open_kinds = {kind(choice) for choice in every_question(space) if is_open(choice)}
        return [each for each in self.options.order if each in open_kinds]

    def opened(self, progress: float) -> dict[Kind, float]:
        """Return by kind how far it is open at a share of the training, from 0 to 1."""
        phases = self._phases(self.scene.space)
        start, end = self.options.largest_share, 1 - self.options.open_share
        length = (end - start) / len(phases)
        done = [(progress - start) / length - number for number in range(len(phases))]
        shares = (min(1.0, max(0.0, share)) for share in done)
        return dict(zip(phases, shares, strict=True))

    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return one member of what is open now."""
        opened = self.opened(moment.progress)

        def ask(choice: Choice) -> Answer:
            of_kind = kind(choice)
            share = 1.0 if of_kind is None else opened.get(of_kind, 1.0)
            return choice.sample(moment.rng) if share == 1 else _draw(choice, share, moment.rng)

        return (Lesson(self.scene.space.walk(ask)),)


def kind(choice: Choice) -> Kind | None:
    """Return what shrinks when a question is answered lower, None if nothing does."""
    if isinstance(choice, SubsetOf):
        return "in_degree"
    if not is_size(choice):
        return None
    return "width" if choice.elastic else "depth"


def _draw(choice: Choice, share: float, rng: np.random.Generator) -> Answer:
    """Draw uniformly among the largest answers, as many of them as `share` opens."""
    if isinstance(choice, OneOf):
        options = sorted(choice.options, key=lambda option: float(option.value), reverse=True)
        count = 1 + ceil(share * (len(options) - 1))
        return options[int(rng.integers(count))].value
    size = len(choice.items)
    fewest = size - ceil(share * (size - choice.minimum))
    ways = np.array([comb(size, count) for count in range(fewest, size + 1)], dtype=np.float64)
    count = fewest + int(rng.choice(len(ways), p=ways / ways.sum()))
    chosen = rng.choice(size, count, replace=False)
    return choice.ordered({choice.items[int(at)] for at in chosen})
