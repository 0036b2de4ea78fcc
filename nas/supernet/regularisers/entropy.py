"""Entropy of the gates: a positive factor makes them decide, a negative one keeps them open."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from nas.registry import Paper
from nas.space import SubsetOf
from nas.supernet.regularisers import REGULARISERS, AbstractRegulariser
from nas.supernet.relaxation import Context, Relaxation


@final
@REGULARISERS.register("entropy", Paper("Tian et al.", 2020, arxiv="2011.11233"))
class Entropy(AbstractRegulariser):
    """Mean entropy of the context's relaxed choices, each as a share of its largest, 0 to 1."""

    def term(self, relaxation: Relaxation, context: Context) -> Tensor:
        """Return the mean over choices; 0 where nothing is relaxed."""
        shares: list[Tensor] = []
        for choice in context.relaxed:
            p = relaxation.probabilities(choice)
            if isinstance(choice, SubsetOf):
                pairs = torch.stack([p, 1 - p])
                shares.append(torch.special.entr(pairs).sum(0).mean() / math.log(2))
            elif len(p) > 1:
                shares.append(torch.special.entr(p).sum() / math.log(len(p)))
        return torch.stack(shares).mean() if shares else relaxation.logits.new_zeros(())
