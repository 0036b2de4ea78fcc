"""What a zero-cost score is, and the one runner that keeps it from touching the network.

A score is a function of a network at initialisation and one batch; larger means that the network
is expected to train better. It works on a copy and may do with it what it likes: the network it
was asked about keeps its weights, gradients, statistics and mode. Draws of its own come from a
generator that the runner seeds.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from nas.errors import DataError, TrialError
from nas.model.network import Network
from nas.registry import Paper, Registry
from nas.seeds import derive_seed

Function = Callable[[Network, Tensor, Tensor, torch.Generator], float]

ZERO_COST: Registry[ZeroCostScore] = Registry("zero-cost score", package="nas.zero_cost.scores")


@final
@dataclass(frozen=True)
class ZeroCostScore:
    """One registered score; larger is better.

    Args:
        name: Under which it is registered.
        function: Network (a copy, in training mode), images, labels and a generator to a number.
        reads: What it depends on beside the network: `labels` and `images`, `images` alone, or
            `nothing`, where only the shape of the batch counts.
        order_matters: Whether another order of the same batch gives another number, beyond
            rounding.
        trivial: Whether it only counts: what a better predictor has to beat.
    """

    name: str
    function: Function
    reads: str = "labels"
    order_matters: bool = False
    trivial: bool = False

    def score(self, network: Network, images: Tensor, labels: Tensor, *, seed: int = 0) -> float:
        """Return the score of a network at initialisation.

        Args:
            network: As it would start to train; it is not changed.
            images: One batch, `(batch, channels, height, width)`, on the network's device.
            labels: `(batch,)` int64.
            seed: Of the score's own draws.

        Raises:
            DataError: If the batch has fewer than 2 images, or not one label each.
            TrialError: If the score is not finite.
        """
        if len(images) < 2 or len(images) != len(labels):
            raise DataError(
                f"A zero-cost score needs a batch of at least 2 images with one label each; got "
                f"{len(images)} images and {len(labels)} labels.",
                fix="Give a batch of 16 to 128 images.",
            )
        own = copy.deepcopy(network).train()
        own.zero_grad(set_to_none=True)
        generator = torch.Generator().manual_seed(derive_seed(seed, f"zero-cost {self.name}", 0))
        with torch.enable_grad():
            value = float(self.function(own, images, labels, generator))
        if not math.isfinite(value):
            raise TrialError(
                f"The zero-cost score '{self.name}' is {value}; it must be finite.",
                kind="nonfinite",
                why="Activations or gradients of the untrained network overflow.",
                fix="Leave this score out, or normalise the images.",
            )
        return value


def zero_cost_score(
    name: str,
    paper: Paper | None = None,
    *,
    reads: str = "labels",
    order_matters: bool = False,
    trivial: bool = False,
) -> Callable[[Function], ZeroCostScore]:
    """Return a decorator that registers a function as a score; see `ZeroCostScore`."""

    def decorate(function: Function) -> ZeroCostScore:
        entry = ZeroCostScore(name, function, reads, order_matters, trivial)
        ZERO_COST.add(name, entry, paper)
        return entry

    return decorate


def weight_layers(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """Return the layers whose weights the published scores sum over."""
    return [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]


def loss_gradients(
    network: nn.Module, images: Tensor, labels: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Return weight and gradient of the cross-entropy for every layer of `weight_layers`."""
    weights = [layer.weight for layer in weight_layers(network)]
    loss = nn.functional.cross_entropy(network(images), labels)
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return [
        (weight.detach(), gradient)
        for weight, gradient in zip(weights, found, strict=True)
        if gradient is not None
    ]
