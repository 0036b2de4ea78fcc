"""How differently an untrained network's units respond to different images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.model.network import Network
from nas.registry import Paper
from nas.zero_cost.base import zero_cost_score

SMALLEST = 1e-5
"""Eigenvalues below count as this: two images of one code would make the determinant 0."""

RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.SiLU, nn.GELU, nn.Mish, nn.Hardswish)
"""What gives a positive output exactly for a positive input."""


@zero_cost_score("naswot", Paper("Mellor et al.", 2021, arxiv="2006.04647"), reads="images")
def naswot(network: Network, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:
    """Log-determinant of the kernel of equal activation bits.

    Each image has a code, one bit per rectified unit (smooth rectifiers too): on or off. Entry
    (i, j) of the kernel is the number of units less the Hamming distance of the codes of images i
    and j.
    """
    count = len(images)
    kernel = torch.zeros(count, count, dtype=torch.float64, device=images.device)

    def add(_: nn.Module, __: object, output: Tensor) -> None:
        on = (output.detach() > 0).flatten(1).double()
        kernel.add_(on @ on.T + (1 - on) @ (1 - on).T)

    for layer in network.modules():
        if isinstance(layer, RECTIFIERS):
            layer.register_forward_hook(add)
    with torch.no_grad():
        network(images)
    eigenvalues = torch.linalg.eigvalsh(kernel.cpu())
    return float(eigenvalues.clamp(min=SMALLEST).log().sum())
