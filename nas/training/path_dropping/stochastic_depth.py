"""Stochastic depth: whole branches of residual nodes are dropped, deep ones more often."""

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
    "stochastic_depth",
    Paper("Huang et al.", 2016, arxiv="1603.09382"),
    rate=rate_parameter(0.5, "probability to drop at the last residual node"),
    per_sample=sample_parameter(0.0),
)
class StochasticDepth(AbstractPathDropping):
    """Drop the branches of residual node `l` of `L` with probability `l / L` times the rate.

    All branches of a node go together, so that only its skips are left. Branches that stay are
    divided by the probability to stay; as published they are multiplied with it after training,
    which is the same network up to a factor on each branch.
    """

    def rate(self, node: MergingNode) -> float:
        """Return the probability that the branches of a node are dropped; 0 for most nodes."""
        return self.values["rate"] * node.residual / max(node.residuals, 1)

    def draw(
        self,
        nodes: Sequence[MergingNode],
        progress: float,
        rng: np.random.Generator,
        draws: int,
    ) -> list[Factors]:
        """Draw every residual node on its own."""
        found: list[Factors] = []
        for node in nodes:
            rate = self.rate(node)
            factor = (rng.random(draws) >= rate) / (1.0 - rate)
            branch = np.array([entry.side == "branch" for entry in node.inputs])[:, None]
            found.append(np.where(branch & (node.residual > 0), factor, 1.0).astype(np.float32))
        return found
