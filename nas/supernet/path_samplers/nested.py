"""A drawn member and its prefixes, their gradients added up."""

from __future__ import annotations

from typing import Annotated, final

from pydantic import BaseModel, Field

from nas.registry import Paper
from nas.space import AbstractSpace, Choice, Decisions, OneOf
from nas.space.choices import Answer
from nas.supernet.member_sizes import every_question, is_open, is_size
from nas.supernet.path_samplers import (
    AbstractPathSampler,
    Lesson,
    Moment,
    equal_lessons,
    path_sampler,
)


@final
class NestedOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of `nested`."""

    members: Annotated[int, Field(ge=2, le=64)] = 3
    """Most members of a chain, the drawn one included."""


@final
@path_sampler("nested", Paper("Valipour et al.", 2023, arxiv="2309.00255"))
class Nested(AbstractPathSampler):
    """Train a member together with what it holds: fewer nodes, fewer channels of each.

    All numbers of the drawn member (depths, widths) are lowered together, step by step down to
    their smallest; everything else stays, so a smaller member reads leading slices of the larger.
    """

    Options = NestedOptions

    def check(self, space: AbstractSpace) -> None:
        """Refuse a space in which every number is fixed."""
        if not any(is_size(choice) and is_open(choice) for choice in every_question(space)):
            raise self.unfit(
                space,
                "No depth and no width is open, so no member is a prefix of another.",
                "Open a depth or a width in the space, or use 'uniform' or 'batch_split'.",
            )

    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return the chain, largest first, equal members once."""
        drawn = self.scene.space.sample(moment.rng)
        chain = [drawn]
        for level in range(1, self.options.members):
            smaller = self.prefix(drawn, 1 - level / (self.options.members - 1))
            if smaller != chain[-1]:
                chain.append(smaller)
        return equal_lessons(chain)

    def prefix(self, member: Decisions, share: float) -> Decisions:
        """Return the member with every number lowered; `share` 1 keeps it, 0 takes the smallest."""

        def ask(choice: Choice) -> Answer:
            answer = member.get(choice.name)
            if answer is None or not choice.valid(answer):
                return choice.default()
            if not (isinstance(choice, OneOf) and is_size(choice)):
                return answer
            assert isinstance(answer, (int, float))
            values = sorted(float(option.value) for option in choice.options)
            below = [value for value in values if value <= answer]
            lowered = below[round(share * (len(below) - 1))]
            return next(option.value for option in choice.options if option.value == lowered)

        return self.scene.space.walk(ask)
