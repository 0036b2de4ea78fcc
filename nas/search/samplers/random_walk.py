"""Uniform random search: every question that applies is answered uniformly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from nas.registry import Paper
from nas.search.samplers.base import SAMPLERS, AbstractSampler, Observation, Proposal
from nas.space import AbstractSpace


@SAMPLERS.register(
    "random", Paper("Bergstra and Bengio", 2012, title="Random search for hyper-parameters")
)
@final
class RandomSampler(AbstractSampler):
    """Draws members without looking at results: what every other sampler has to beat."""

    def propose(
        self, space: AbstractSpace, history: Sequence[Observation], count: int, seed: int
    ) -> list[Proposal]:
        """Return `count` random members."""
        rng = np.random.default_rng(seed)
        return [Proposal(space.sample(rng)) for _ in range(count)]
