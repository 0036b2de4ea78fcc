"""How little the input gradients of different images have in common."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.model.network import Network
from nas.registry import Paper
from nas.zero_cost.base import zero_cost_score

SMALLEST = 1e-5
"""The paper's constant beside every eigenvalue."""


@zero_cost_score("jacob_cov", Paper("Mellor et al.", 2020, arxiv="2006.04647"), reads="images")
def jacob_cov(
    network: Network, images: Tensor, labels: Tensor, generator: torch.Generator
) -> float:
    """Score the spectrum of the correlation matrix of the Jacobians, first version of the paper.

    With the eigenvalues v of the correlations between the images' gradients of the summed output
    it is -sum(log(v + k) + 1 / (v + k)), largest when no two images correlate.
    """
    shown = images.detach().clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(network(shown).sum(), shown)
    rows = gradient.flatten(1).double().cpu()
    rows = rows - rows.mean(dim=1, keepdim=True)
    # A zero gradient correlates with nothing; dividing it by its norm would give NaN.
    rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    eigenvalues = torch.linalg.eigvalsh(rows @ rows.T).clamp(min=0) + SMALLEST
    return float(-(eigenvalues.log() + 1 / eigenvalues).sum())
