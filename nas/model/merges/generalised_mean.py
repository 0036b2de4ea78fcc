"""Means with a learned number between mean and maximum (Li et al. 2020, arXiv:2006.07739)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import final

import torch
from torch import Tensor

from nas.model.merges.base import (
    AbstractDeclaredMerge,
    Weights,
    add_up,
    merge_module,
    weighted_sum,
)

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
        scores = [x * weights["b"] for x in inputs]
        largest = _largest(scores)  # a softmax does not see what all its scores have in common
        powers = [(score - largest).exp() for score in scores]
        return weighted_sum(inputs, powers) / add_up(powers)


@final
@merge_module("power_mean_p")
class PowerMean(AbstractDeclaredMerge):
    """The p-th root of the mean of the inputs' p-th powers; inputs are cut off at 1e-7."""

    def combine(self, inputs: Sequence[Tensor], weights: Weights) -> Tensor:
        """Return `(mean_e x_e^p)^(1/p)`."""
        positive = [x.clamp(min=LEAST_INPUT) for x in inputs]
        power = weights["p"].clamp(min=LEAST_POWER)
        # Powers of shares of the largest input cannot overflow. The mean grows in proportion to
        # its inputs, so the largest one may count as a constant without changing a gradient.
        largest = _largest(positive)
        mean = add_up([(x / largest).pow(power) for x in positive], 1 / len(positive))
        return mean.pow(1 / power) * largest


def _largest(tensors: Sequence[Tensor]) -> Tensor:
    """Return the element-wise maximum, as a constant; no stack, which would lose the layout."""
    return reduce(torch.maximum, [x.detach() for x in tensors])
