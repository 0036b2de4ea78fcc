"""Weights over all earlier layers, by channel or by position.

Which inputs each of them wants is told in `nas.topology.merges.depth_weighted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch.nn.functional as F
from torch import Tensor

from nas.model.merges.base import (
    AbstractDeclaredMerge,
    Weights,
    merge_module,
    pointwise,
    weighted_sum,
)

NORM_EPSILON = 1e-6


@final
@merge_module("grn_v2", "grn_v3")
class GeneralisedResidual(AbstractDeclaredMerge):
    """One number per input and channel, in v3 plus one per input and position.

    Heddes et al. 2025 (arXiv:2502.06785); the number per position is `relu(w x_e)`.
    """

    def combine(self, inputs: Sequence[Tensor], weights: Weights) -> Tensor:
        """Return `factor * sum_e (b_e + relu(w x_e)) x_e`."""
        numbers = list((weights["weights"] * self.setup.factor)[:, :, None, None].unbind(0))
        if "query" in weights:
            query = weights["query"][None, :]
            numbers = [
                number + F.relu(pointwise(x, query)) * self.setup.factor
                for number, x in zip(numbers, inputs, strict=True)
            ]
        return weighted_sum(inputs, numbers)


@final
@merge_module("mudd")
class DynamicDense(AbstractDeclaredMerge):
    """One number per input and position, from the newest input at that position.

    Xiao et al. 2025 (arXiv:2502.12170), with a single way. Column `h` of `values` belongs to the
    `h`-th oldest input of the member, as row `h` of `keys` does.
    """

    def combine(self, inputs: Sequence[Tensor], weights: Weights) -> Tensor:
        """Return `factor * sum_e (static_e + dynamic_e) x_e`."""
        newest = inputs[-1]
        norm = newest.square().mean(1, keepdim=True).add(NORM_EPSILON).rsqrt()
        hidden = F.gelu(pointwise(newest * norm, weights["keys"]))
        dynamic = pointwise(hidden, weights["values"])
        static = weights["static"].flatten()
        start = static.new_tensor([0.0] * (self.setup.degree - 1) + [1.0])
        numbers = (dynamic + (static + start)[None, :, None, None]) * self.setup.factor
        return weighted_sum(inputs, numbers.unsqueeze(2).unbind(1))
