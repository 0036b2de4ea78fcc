"""The gradient of gates through one step of the weights, for any two losses.

Weights `w` follow `w' = w - xi * d/dw L_train(w, a)`; the gates `a` want the gradient of
`L_val(w'(a), a)`, which holds `-xi * d2/(da dw) L_train * d/dw' L_val(w', a)` beside the direct
term. Exact by differentiating twice, or by the central difference of the paper, which needs no
second derivative (DARTS, Liu et al. 2019, arXiv:1806.09055, equations 7 and 8).

Nothing here knows of supernets: losses are functions of the weights that close over the gates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Weights = Sequence[Tensor]
Loss = Callable[[Weights], Tensor]
"""From weights to a loss, differentiable in them and in the gates it closes over."""

PERTURBATION = 0.01
"""Length of the step to either side, in units of the weights (the paper's)."""


def unrolled_gradient(
    train: Loss, validation: Loss, weights: Weights, gates: Tensor, rate: float
) -> Tensor:
    """Return the exact gradient of `L_val(w - rate * dL_train/dw, a)` with respect to the gates.

    Args:
        train: The weights' loss; twice differentiable.
        validation: The gates' loss; called once.
        weights: Present weights, which are left alone.
        gates: What both losses close over; requires a gradient.
        rate: `xi`, the step of the weights; 0 gives the first order.
    """
    start = _leaves(weights)
    slopes = torch.autograd.grad(
        train(start), start, create_graph=True, allow_unused=True, materialize_grads=True
    )
    moved = [weight - rate * slope for weight, slope in zip(start, slopes, strict=True)]
    (gradient,) = torch.autograd.grad(validation(moved), [gates], materialize_grads=True)
    return gradient


def difference_gradient(
    train: Loss, validation: Loss, weights: Weights, gates: Tensor, rate: float
) -> Tensor:
    """Return the same gradient with the mixed derivative as a central difference.

    Args:
        train: The weights' loss; differentiated once, at three places.
        validation: The gates' loss; called once.
        weights: Present weights, which are left alone.
        gates: What both losses close over; requires a gradient.
        rate: `xi`, the step of the weights.
    """
    start = _leaves(weights)
    slopes = torch.autograd.grad(train(start), start, allow_unused=True, materialize_grads=True)
    moved = _leaves(_step(start, slopes, -rate))
    direct, *pull = torch.autograd.grad(
        validation(moved), [gates, *moved], allow_unused=True, materialize_grads=True
    )
    length = torch.linalg.vector_norm(torch.stack([part.norm() for part in pull]))
    size = PERTURBATION / float(length.clamp_min(1e-12))
    sides = []
    for factor in (size, -size):
        loss = train(_step(start, pull, factor))
        (side,) = torch.autograd.grad(loss, [gates], allow_unused=True, materialize_grads=True)
        sides.append(side)
    return direct - rate * (sides[0] - sides[1]) / (2 * size)


def _leaves(weights: Weights) -> list[Tensor]:
    return [weight.detach().requires_grad_() for weight in weights]


def _step(weights: Weights, directions: Weights, factor: float) -> list[Tensor]:
    return [
        weight.detach() + factor * direction
        for weight, direction in zip(weights, directions, strict=True)
    ]
