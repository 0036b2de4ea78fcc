"""Selective kernel fusion: a softmax over the inputs per channel and image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch.nn.functional as F
from torch import Tensor

from nas.model.merges.base import (
    AbstractDeclaredMerge,
    Weights,
    add_up,
    merge_module,
    weighted_sum,
)


@final
@merge_module("selective_kernel")
class SelectiveKernel(AbstractDeclaredMerge):
    """Weights by `softmax(V relu(W GAP(sum)))` over the inputs, per channel and image.

    Li et al. 2019 (arXiv:1903.06586), in the form of gUNet (Song et al. 2022, arXiv:2209.11448).
    """

    def combine(self, inputs: Sequence[Tensor], weights: Weights) -> Tensor:
        """Return the inputs' sum, weighted per channel and image."""
        degree, channels = self.setup.degree, self.setup.channels
        pooled = add_up(inputs).mean((2, 3))
        hidden = F.relu(F.linear(pooled, weights["squeeze"]))
        scores = F.linear(hidden, weights["select"].flatten(0, 1))
        shares = scores.view(-1, degree, channels).softmax(1)
        return weighted_sum(inputs, shares[..., None, None].unbind(1))
