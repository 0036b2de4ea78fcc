"""Norm of the first gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.model.network import Network
from nas.registry import Paper
from nas.zero_cost.base import loss_gradients, zero_cost_score


@zero_cost_score("grad_norm", Paper("Abdelfattah et al.", 2021, arxiv="2101.08134"))
def grad_norm(
    network: Network, images: Tensor, labels: Tensor, generator: torch.Generator
) -> float:
    """Sum over layers of the Euclidean norm of the gradient of the loss by the layer's weights."""
    return float(sum(gradient.norm() for _, gradient in loss_gradients(network, images, labels)))
