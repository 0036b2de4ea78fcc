"""Attention to the front: the best, or the worst, of a few members of equal size."""

from __future__ import annotations

from typing import Annotated, Literal, final

import numpy as np
from pydantic import BaseModel, Field

from nas.errors import ConfigError
from nas.registry import Paper
from nas.space import Decisions
from nas.supernet.member_sizes import bin_of
from nas.supernet.path_samplers import (
    WHERE,
    AbstractPathSampler,
    Lesson,
    Moment,
    Scene,
    path_sampler,
)

TRIES_PER_CANDIDATE = 4
"""Draws for each candidate and bin before the nearest members outside of the bin stand in."""


@final
class AttentiveOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of `attentive`."""

    towards: Literal["best", "worst"] = "best"
    """`best` trains the best candidate of the bin (best-up), `worst` the worst one (worst-up)."""

    candidates: Annotated[int, Field(ge=2, le=256)] = 3
    """Members of the bin that are compared."""

    bins: Annotated[int, Field(ge=1, le=64)] = 8
    """Bins of multiply-adds, equally many members in each; a step draws one uniformly."""

    by: Literal["batch", "predictor"] = "batch"
    """What compares: the loss on the step's images (a forward pass per candidate), or a predictor
    given to the training."""


@final
@path_sampler("attentive", Paper("Wang et al.", 2020, arxiv="2011.09011"))
class Attentive(AbstractPathSampler):
    """Draw a size, then train the candidate of it that is nearest to the front, or farthest."""

    Options = AttentiveOptions

    def begin(self, scene: Scene) -> None:
        """Measure the bins."""
        super().begin(scene)
        if self.options.by == "predictor" and scene.predictor is None:
            raise ConfigError(
                "The path sampler 'attentive' is to compare by a predictor, and none is given.",
                where=WHERE,
                fix="Write `by: batch`; only `nas.supernet.paths.train_paths` takes a `predictor`.",
            )
        self.bounds = scene.sizes.bins(self.options.bins, scene.seed)
        if self.options.bins > 1 and not self.bounds:
            raise self.unfit(
                scene.space,
                "All its members have the same multiply-adds, so there are no bins of sizes.",
                "Open a depth, a width or operations in the space, or write `bins: 1`.",
            )

    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return the chosen candidate."""
        loss_of = moment.loss_of
        if self.options.by == "predictor":
            assert self.scene.predictor is not None
            loss_of = self.scene.predictor
        choose = min if self.options.towards == "best" else max
        wanted = int(moment.rng.integers(len(self.bounds) + 1))
        candidates = self.candidates(wanted, moment.rng)
        losses = [loss_of(candidate) for candidate in candidates]
        return (Lesson(candidates[losses.index(choose(losses))]),)

    def candidates(self, wanted: int, rng: np.random.Generator) -> list[Decisions]:
        """Draw members of a bin; where it is hard to hit, the nearest bins' stand in."""
        count = self.options.candidates
        drawn: list[tuple[int, Decisions]] = []
        found = 0
        for _ in range(TRIES_PER_CANDIDATE * count * (len(self.bounds) + 1)):
            member = self.scene.space.sample(rng)
            distance = abs(bin_of(self.scene.sizes.macs(member), self.bounds) - wanted)
            drawn.append((distance, member))
            found += distance == 0
            if found == count:
                break
        drawn.sort(key=lambda pair: pair[0])  # stable: in order of drawing
        return [member for _, member in drawn[:count]]
