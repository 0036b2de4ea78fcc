"""Synaptic flow: the product of weights over all paths, without data."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nas.model.network import Network
from nas.registry import Paper
from nas.zero_cost.base import weight_layers, zero_cost_score


@zero_cost_score(
    "synflow", Paper("Tanaka et al.", 2020, arxiv="2006.05467"), reads="nothing", trivial=False
)
def synflow(network: Network, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:
    """Logarithm of the sum over weights of theta * dR/dtheta.

    R is the sum of the outputs for an image of ones when every parameter is replaced by its
    absolute value. Batch norm is the identity (its start: mean 0, variance 1), since statistics of
    a batch of ones would erase what is measured. The logarithm keeps deep networks finite, in
    float64, and changes no ranking.
    """
    network.double().eval()
    with torch.no_grad():
        for value in network.parameters():
            value.abs_()
        for layer in network.modules():
            if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
                layer.reset_running_stats()
                layer.reset_parameters()
    ones = torch.ones(1, *network.input_shape, dtype=torch.float64, device=images.device)
    weights = [layer.weight for layer in weight_layers(network)]
    gradients = torch.autograd.grad(network(ones).sum(), weights, allow_unused=True)
    total = sum(
        float((weight.detach() * gradient).sum())
        for weight, gradient in zip(weights, gradients, strict=True)
        if gradient is not None
    )
    return math.log(max(total, math.ulp(0.0)))
