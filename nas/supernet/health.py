"""Diagnostics of a relaxation: is it deciding, is it collapsing, does it mean what it measures.

A search that drifts to identities and pools, or whose mixture is far better than any of its
members, ranks nothing; both show here long before a front does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.seeds import derive_seed
from nas.space import OneOf, SubsetOf
from nas.supernet.binding import role
from nas.supernet.mixing import Mixing
from nas.supernet.relaxation import Context, Relaxation
from nas.supernet.relaxed import RelaxedRun
from nas.supernet.supernet import Supernet
from nas.topology.operations import OPERATIONS

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining

HIGH_SKIP_SHARE = 0.7
"""Share of parameter-free operations from which a relaxation is said to collapse."""


def relaxation_numbers(training: RelaxedTraining) -> dict[str, float]:
    """Return the numbers of an epoch that ends: entropy, shares, mixture against members."""
    numbers = {
        "gate_entropy": gate_entropy(training.relaxation),
        "skip_share": skip_share(training.relaxation),
        "edge_share": edge_share(training.relaxation),
    }
    if training.last is not None:
        rng = np.random.default_rng(derive_seed(training.seed, "gap", training.step))
        numbers["mixture_loss"], numbers["gap"] = discretisation_gap(
            training.supernet,
            training.relaxation,
            training.last.mixing,
            training.last.context,
            training.gate_batches.at(training.step),
            rng,
        )
    return numbers


@torch.no_grad()
def gate_entropy(relaxation: Relaxation) -> float:
    """Return the mean entropy of all open choices, each as a share of its largest: 1 to 0."""
    shares = []
    for choice in relaxation.every_choice():
        p = relaxation.probabilities(choice).double()
        if isinstance(choice, SubsetOf):
            pairs = torch.stack([p, 1 - p])
            shares.extend((-torch.xlogy(pairs, pairs).sum(0) / math.log(2)).tolist())
        elif len(p) > 1:
            shares.append(float(-torch.xlogy(p, p).sum()) / math.log(len(p)))
    return _mean(shares)


@torch.no_grad()
def skip_share(relaxation: Relaxation) -> float:
    """Return the probability of operations without weights, mean over the choices that offer any.

    0 where no choice offers one.
    """
    shares = []
    for choice in relaxation.every_choice():
        if not isinstance(choice, OneOf) or role(choice) != "operation":
            continue
        free = [not OPERATIONS.get(str(option.value)).parametric for option in choice.options]
        if any(free) and not all(free):
            shares.append(float(relaxation.probabilities(choice)[torch.tensor(free)].sum()))
    return _mean(shares)


@torch.no_grad()
def edge_share(relaxation: Relaxation) -> float:
    """Return the mean probability that an optional edge is on; 0 where there is none."""
    shares: list[float] = []
    for choice in relaxation.every_choice():
        if isinstance(choice, SubsetOf):
            shares.extend(relaxation.probabilities(choice).tolist())
    return _mean(shares)


@torch.no_grad()
def discretisation_gap(
    supernet: Supernet,
    relaxation: Relaxation,
    mixing: Mixing,
    context: Context,
    batch: tuple[Tensor, Tensor],
    rng: np.random.Generator,
    members: int = 4,
) -> tuple[float, float]:
    """Return the loss of the mixture, and how much higher that of members drawn from it is.

    Args:
        supernet: The shared weights.
        relaxation: The gates.
        mixing: The relaxed member of `context`.
        context: What was sampled whole.
        batch: Images and labels.
        rng: Draws the members.
        members: How many to draw.
    """
    images, labels = batch
    run = RelaxedRun(supernet, mixing, relaxation.values(context))
    mixture = float(F.cross_entropy(run.logits(images).float(), labels))
    losses = []
    for _ in range(members):
        architecture = supernet.space.build(relaxation.draw(context, rng))
        losses.append(float(F.cross_entropy(supernet(images, architecture).float(), labels)))
    return mixture, _mean(losses) - mixture


def remedy(numbers: dict[str, float]) -> str | None:
    """Return what to try where the numbers of an epoch look ill, else None."""
    if numbers.get("skip_share", 0.0) > HIGH_SKIP_SHARE:
        return (
            "most operations have no weights: train the weights longer before the gates "
            "(relaxation.gate_warmup_epochs), or lower relaxation.gate_learning_rate"
        )
    return None


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
