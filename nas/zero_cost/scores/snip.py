"""How much the loss would change if single connections were cut."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.model.network import Network
from nas.registry import Paper
from nas.zero_cost.base import loss_gradients, zero_cost_score


@zero_cost_score("snip", Paper("Lee et al.", 2019, arxiv="1810.02340"))
def snip(network: Network, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:
    """Sum over all weights of |weight * gradient|, the connection sensitivity.

    The paper normalises it over one network to prune that network; summed it compares networks
    (Abdelfattah et al. 2021, arXiv:2101.08134).
    """
    return float(
        sum(
            (weight * gradient).abs().sum()
            for weight, gradient in loss_gradients(network, images, labels)
        )
    )
