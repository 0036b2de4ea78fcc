"""Several members per step, the batch divided among them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, final

from pydantic import BaseModel, Field

from nas.registry import Paper
from nas.supernet.path_samplers import AbstractPathSampler, Lesson, Moment, path_sampler


@final
class BatchSplitOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of `batch_split`."""

    members: Annotated[int, Field(ge=2, le=256)] = 4
    """Members per step; each sees its share of the images, at least 2."""


@final
@path_sampler("batch_split", Paper("Liao et al.", 2021, arxiv="2109.00642"))
class BatchSplit(AbstractPathSampler):
    """Train several members in one forward-backward, for the cost of one.

    A member's weight is its share of the images, so every image counts alike.
    """

    Options = BatchSplitOptions

    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return one lesson per share of the batch."""
        batch, members = self.scene.batch_size, self.options.members
        bounds = [batch * number // members for number in range(members + 1)]
        return tuple(
            Lesson(self.scene.space.sample(moment.rng), (end - start) / batch, (start, end))
            for start, end in pairwise(bounds)
        )

    def images_per_member(self, batch_size: int) -> int:
        """Return the smallest share."""
        return int(batch_size // self.options.members)
