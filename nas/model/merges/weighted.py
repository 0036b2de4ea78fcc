"""Weighted sums whose numbers are normalised, or start from the input's role."""

from __future__ import annotations

from typing import final

import torch.nn.functional as F
from torch import Tensor

from nas.model.merges.base import AbstractWeightedSum, Weights, merge_module

FAST_EPSILON = 1e-4
"""Added to the sum of rectified weights, as published (Tan et al. 2019, arXiv:1911.09070)."""


@final
@merge_module("weighted_normalised")
class SoftmaxWeighted(AbstractWeightedSum):
    """Sum with the softmax of learned numbers: equal numbers give the mean."""

    def coefficients(self, weights: Weights) -> Tensor:
        """Return the softmax of the numbers."""
        return weights["logits"].flatten().softmax(0)


@final
@merge_module("weighted_fast")
class FastWeighted(AbstractWeightedSum):
    """Sum with rectified numbers over their sum (fast normalised fusion, arXiv:1911.09070)."""

    def coefficients(self, weights: Weights) -> Tensor:
        """Return the rectified numbers over their sum plus `FAST_EPSILON`."""
        positive = F.relu(weights["weights"].flatten())
        return positive / (positive.sum() + FAST_EPSILON)


@final
@merge_module("weighted_zero", "dwa")
class RoleWeighted(AbstractWeightedSum):
    """Sum with learned numbers on top of a start by role.

    `weighted_zero` starts with 0 for the newest input and 1 for the others, `dwa` the other way
    round (De and Smith 2020, arXiv:2002.10444; Pagliardini et al. 2024, arXiv:2402.02622).
    """

    def coefficients(self, weights: Weights) -> Tensor:
        """Return start plus learned numbers, times the factor."""
        learned = weights["weights"].flatten()
        newest_starts_at = float(self.setup.rule.family == "dwa")
        starts = [1.0 - newest_starts_at] * (self.setup.degree - 1) + [newest_starts_at]
        return (learned + learned.new_tensor(starts)) * self.setup.factor
