"""The largest, the smallest and some random members in every step."""

from __future__ import annotations

from typing import Annotated, final

from pydantic import BaseModel, Field

from nas.registry import Paper
from nas.supernet.path_samplers import (
    AbstractPathSampler,
    Lesson,
    Moment,
    equal_lessons,
    path_sampler,
)


@final
class SandwichOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of `sandwich`."""

    members: Annotated[int, Field(ge=0, le=64)] = 2
    """Random members beside the largest and the smallest."""


@final
@path_sampler("sandwich", Paper("Yu et al.", 2020, arxiv="2003.11142"))
class Sandwich(AbstractPathSampler):
    """Train both ends of the space in every step: what lies between is bounded by them.

    The rule comes from universally slimmable networks (Yu and Huang 2019, arXiv:1903.05134), where
    all but the largest learn its soft labels: set `distillation: 1` for that.
    """

    Options = SandwichOptions

    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return the largest first, so that its logits can teach the others."""
        sizes = self.scene.sizes
        drawn = [self.scene.space.sample(moment.rng) for _ in range(self.options.members)]
        return equal_lessons([sizes.largest, sizes.smallest, *drawn])
