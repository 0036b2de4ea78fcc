"""Parametric operations on the longest path, as a score to beat."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.cost.count import cost
from nas.model.network import Network
from nas.zero_cost.base import zero_cost_score


@zero_cost_score("depth", reads="nothing", trivial=True)
def depth(network: Network, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:
    """Count the parametric operations on the longest path."""
    return float(cost(network.architecture, network.input_shape, network.num_classes).depth)
