"""Products: of all inputs, and of a trunk with one plus a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from nas.model.merges.base import AbstractDeclaredMerge, Weights, add_up, merge_module


@final
@merge_module("product")
class Product(AbstractDeclaredMerge):
    """Element-wise product of the inputs."""

    def combine(self, inputs: Sequence[Tensor], weights: Weights) -> Tensor:
        """Return `prod_e x_e`."""
        total = inputs[0] * inputs[1]
        for tensor in inputs[2:]:
            total = total * tensor
        return total


@final
@merge_module("one_plus_mask", "one_plus_raw_mask")
class OnePlusMask(AbstractDeclaredMerge):
    """`(1 + M) * T` of residual attention (Wang et al. 2017, arXiv:1704.06904).

    Under the name `one_plus_mask` `M` is the sigmoid of the masks' sum, else the sum itself.
    """

    def combine(self, inputs: Sequence[Tensor], weights: Weights) -> Tensor:
        """Return the trunks' sum times one plus the mask."""
        mask, trunk = self._total(inputs, "mask"), self._total(inputs, "trunk")
        if self.setup.rule.family == "one_plus_mask":
            mask = torch.sigmoid(mask)
        return torch.addcmul(trunk, trunk, mask)

    def _total(self, inputs: Sequence[Tensor], role: str) -> Tensor:
        roles = zip(inputs, self.setup.roles, strict=True)
        found = [tensor for tensor, own in roles if own == role]
        return found[0] if len(found) == 1 else add_up(found)
