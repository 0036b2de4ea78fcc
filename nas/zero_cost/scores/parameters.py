"""The number of parameters, as a score to beat."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.model.network import Network
from nas.zero_cost.base import zero_cost_score


@zero_cost_score("parameters", reads="nothing", trivial=True)
def parameters(
    network: Network, images: Tensor, labels: Tensor, generator: torch.Generator
) -> float:
    """Count the trainable numbers."""
    return float(sum(each.numel() for each in network.parameters()))
