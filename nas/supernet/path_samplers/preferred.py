"""Preferred members: a zero-cost score picks them before the training, and only they train."""

from __future__ import annotations

import json
from typing import Annotated, Any, final

import numpy as np
from pydantic import BaseModel, Field, model_validator

from nas.registry import Paper
from nas.seeds import derive_seed
from nas.space import AbstractSpace, Decisions
from nas.supernet.path_samplers import AbstractPathSampler, Lesson, Moment, Scene, path_sampler


@final
class PreferredOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of `preferred`."""

    score: str = "naswot"
    """Zero-cost score of `nas.zero_cost`, of the untrained network on one batch."""

    pool: Annotated[int, Field(ge=2, le=100_000)] = 128
    """Members that are drawn and scored."""

    keep: Annotated[int, Field(ge=1, le=100_000)] = 32
    """Members that are trained."""

    groups: Annotated[int, Field(ge=1, le=1000)] = 8
    """Groups by multiply-adds; each keeps its best, so that small members are not left out."""

    @model_validator(mode="after")
    def _fewer_than_drawn(self) -> PreferredOptions:
        if not self.groups <= self.keep < self.pool:
            raise ValueError("keep must be below pool and at least groups")
        return self


@final
@path_sampler("preferred", Paper("Wang et al.", 2023, arxiv="2304.14636"))
class Preferred(AbstractPathSampler):
    """Train only the members that a zero-cost score prefers among those of their own size.

    Attributes:
        members: The preferred members, once the first step has chosen them. Inherited scores of
            other members mean little, so these are proposed to the search first.
    """

    Options = PreferredOptions

    def __init__(self, options: PreferredOptions | None = None) -> None:
        super().__init__(options)
        self.members: list[Decisions] = []

    def check(self, space: AbstractSpace) -> None:
        """Refuse a space that is no larger than what is kept."""
        if space.count() <= self.options.keep:
            raise self.unfit(
                space,
                f"It has {space.count()} members and {self.options.keep} are to be kept.",
                "Write a smaller `keep`, or use 'uniform'.",
            )

    def begin(self, scene: Scene) -> None:
        """Refuse a score that there is not, before anything is trained."""
        from nas.zero_cost.base import ZERO_COST  # loads torch, which a config is checked without

        super().begin(scene)
        ZERO_COST.get(self.options.score)

    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return one of the preferred members, uniformly."""
        if not self.members:
            self.members = self.choose()
        return (Lesson(self.members[int(moment.rng.integers(len(self.members)))]),)

    def proposals(self) -> list[Decisions]:
        """Return the preferred members: no other member was trained as a whole."""
        return self.members

    def choose(self) -> list[Decisions]:
        """Return the best scored of every group of sizes."""
        options, sizes = self.options, self.scene.sizes
        rng = np.random.default_rng(derive_seed(self.scene.seed, "preferred members", 0))
        drawn = [self.scene.space.sample(rng) for _ in range(options.pool)]
        pool = list({json.dumps(member): member for member in drawn}.values())
        by_size = sorted(pool, key=sizes.macs)
        chosen: list[Decisions] = []
        for number in range(options.groups):
            start, end = (len(pool) * at // options.groups for at in (number, number + 1))
            kept = options.keep * (number + 1) // options.groups - (
                options.keep * number // options.groups
            )
            chosen += sorted(by_size[start:end], key=self._score, reverse=True)[:kept]
        return chosen

    def _score(self, member: Decisions) -> float:
        return self.scene.zero_cost(self.options.score, member)

    def state(self) -> dict[str, Any]:
        """Return the preferred members."""
        return {"members": self.members}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take them."""
        self.members = [dict(member) for member in state["members"]]
