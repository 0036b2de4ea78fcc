"""LAuReL: learned residual sums (Menghani et al. 2024, arXiv:2411.07501)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from nas.model.merges.base import (
    AbstractDeclaredMerge,
    AbstractWeightedSum,
    Weights,
    add_up,
    merge_module,
    pointwise,
    weighted_sum,
)


@final
@merge_module("laurel_rw")
class ResidualWeights(AbstractWeightedSum):
    """`a f(x) + b x`; `f(x)` is the newest input, `x` the sum of the others."""

    def coefficients(self, weights: Weights) -> Tensor:
        """Return `b` for all inputs but the newest, which has `a`."""
        skips = weights["beta"].expand(self.setup.degree - 1)
        return torch.cat([skips, weights["alpha"]]) * self.setup.factor


@final
@merge_module("laurel_lr", "laurel_pa", "laurel_rw_lr", "laurel_rw_lr_pa")
class LowRankResidual(AbstractDeclaredMerge):
    """`a f(x) + b (x + B A r)`, `r` being the skip, previous activations or both.

    `f(x)` is the newest input. With PA `x` is the next one and all older ones are previous
    activations with a number each; without it `x` is the sum of all the others.
    """

    def combine(self, inputs: Sequence[Tensor], weights: Weights) -> Tensor:
        """Return the learned residual sum."""
        branch, (skip, previous) = inputs[-1], self._others(inputs)
        read = None if previous is None else weighted_sum(previous, self._numbers(weights))
        if "lr" in self.setup.rule.family.split("_"):
            read = skip if read is None else read + skip
        assert read is not None
        skip = skip + pointwise(pointwise(read, weights["down"]), weights["up"])
        if "alpha" in weights:
            branch, skip = branch * weights["alpha"], skip * weights["beta"]
        total = branch + skip
        return total if self.setup.factor == 1.0 else total * self.setup.factor

    def _others(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor] | None]:
        """Return the skip and the previous activations, None without any."""
        if self.setup.degree == 2:
            return inputs[0], None
        if "pa" in self.setup.rule.family.split("_"):
            return inputs[-2], inputs[:-2]
        return add_up(inputs[:-1]), None

    @staticmethod
    def _numbers(weights: Weights) -> Sequence[Tensor]:
        return weights["gamma"].flatten().unbind(0)
