"""Scheduled drop-path: computed inputs of merges are dropped, more often as training goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from nas.cost.merging_nodes import MergingNode
from nas.registry import Paper
from nas.training.path_dropping import (
    AbstractPathDropping,
    path_dropping,
    rate_parameter,
    sample_parameter,
)
from nas.training.path_dropping.survivors import Factors


@final
@path_dropping(
    "scheduled_drop_path",
    Paper("Zoph et al.", 2017, arxiv="1707.07012"),
    rate=rate_parameter(0.3, "probability to drop at the end of the training"),
    per_sample=sample_parameter(1.0),
)
class ScheduledDropPath(AbstractPathDropping):
    """Drop every path that an operation computes, with a probability that rises linearly from 0.

    What comes through a join or from the input is never dropped, nor is the skip of a residual
    node, whatever computes its source: it is the identity, which the paper's cells keep too. What
    stays is divided by the probability to stay. All other inputs of a merge may go at once.
    """

    def rate(self, progress: float) -> float:
        """Return the probability to drop after this share of the training."""
        return self.values["rate"] * min(max(progress, 0.0), 1.0)

    def draw(
        self,
        nodes: Sequence[MergingNode],
        progress: float,
        rng: np.random.Generator,
        draws: int,
    ) -> list[Factors]:
        """Draw every computed input but skips on its own."""
        rate = self.rate(progress)
        found: list[Factors] = []
        for node in nodes:
            kept = rng.random((len(node.inputs), draws)) >= rate
            dropped = [entry.computed and entry.side != "skip" for entry in node.inputs]
            factors = np.where(np.array(dropped)[:, None], kept / (1.0 - rate), 1.0)
            found.append(factors.astype(np.float32))
        return found
