"""Means with a learned number between mean and maximum (Li et al. 2020, arXiv:2006.07739)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from nas.model.merges.base import AbstractDeclaredMerge, Weights, merge_module

LEAST_INPUT = 1e-7
"""What inputs of a power mean are cut off at."""

LEAST_POWER = 0.01
"""What `p` is cut off at: at 0 the root does not exist."""


@final
@merge_module("softmax_b")
class SoftmaxMean(AbstractDeclaredMerge):
    """Every element weighted by the softmax of `b` times itself over the inputs."""

    def combine(self, inputs: Sequence[Tensor], weights: Weights) -> Tensor:
        """Return `sum_e softmax_e(b x_e) x_e`."""
        stacked = torch.stack(list(inputs))
        return ((stacked * weights["b"]).softmax(0) * stacked).sum(0)


@final
@merge_module("power_mean_p")
class PowerMean(AbstractDeclaredMerge):
    """The p-th root of the mean of the inputs' p-th powers; inputs are cut off at 1e-7."""

    def combine(self, inputs: Sequence[Tensor], weights: Weights) -> Tensor:
        """Return `(mean_e x_e^p)^(1/p)`."""
        stacked = torch.stack(list(inputs)).clamp(min=LEAST_INPUT)
        power = weights["p"].clamp(min=LEAST_POWER)
        # Powers of shares of the largest input cannot overflow. The mean grows in proportion to
        # its inputs, so the largest one may count as a constant without changing a gradient.
        largest = stacked.detach().amax(0)
        shares = (stacked / largest).pow(power).mean(0)
        return shares.pow(1 / power) * largest
