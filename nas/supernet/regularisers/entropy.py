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
                shares.append(entropies(pairs).sum(0).mean() / math.log(2))
            elif len(p) > 1:
                shares.append(entropies(p).sum() / math.log(len(p)))
        return torch.stack(shares).mean() if shares else relaxation.logits.new_zeros(())


def entropies(probabilities: Tensor) -> Tensor:
    """Return `-p log p` of every entry, in nats; 0 with slope 0 where p is 0.

    The slope grows without bound as p falls to 0. An answer that is exactly 0 is closed or has
    been left out, and nothing is to move it.
    """
    entropy: Tensor = torch.special.entr(torch.where(probabilities > 0, probabilities, 1.0))
    return entropy
