"""Zen-score: how much a network with Gaussian weights amplifies a small change of its input."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nas.model.network import Network
from nas.registry import Paper
from nas.zero_cost.base import weight_layers, zero_cost_score

STEP = 0.01
"""Size of the change, the paper's alpha."""

REPEATS = 4
"""Draws of weights and inputs that are averaged; the paper takes 32."""


@zero_cost_score("zen", Paper("Lin et al.", 2021, arxiv="2102.01063"), reads="nothing")
def zen(network: Network, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:
    """Mean of log(difference before the head) + sum over norms of log(their mean deviation).

    Weights and inputs are standard normal. Batch norm divides each layer's scale away; adding the
    logarithm of what it divided by puts the scale back. The paper judges plain chains and takes
    residual links out; here the links are what is compared, so they stay.
    """
    scores = [_once(network, images.shape, generator) for _ in range(REPEATS)]
    return math.fsum(scores) / len(scores)


@torch.no_grad()
def _once(network: Network, shape: torch.Size, generator: torch.Generator) -> float:
    for layer in weight_layers(network):
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))
        if layer.bias is not None:
            layer.bias.zero_()
    like = next(network.parameters())
    start = torch.randn(shape, generator=generator).to(like)
    moved = start + STEP * torch.randn(shape, generator=generator).to(like)
    scales: list[float] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        variance = inputs[0].double().var(dim=(0, 2, 3), correction=0)
        scales.append(0.5 * math.log(float(variance.mean()) + 1e-12))

    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    hooks = [layer.register_forward_pre_hook(note) for layer in norms]
    features = network.run_nodes(start)
    for hook in hooks:
        hook.remove()
    difference = (features - network.run_nodes(moved)).abs().sum(dim=(1, 2, 3)).mean()
    return math.log(float(difference) + 1e-12) + math.fsum(scales)
