"""Does a mixture mean what it measures: gaps to members, sharpness, agreement of families.

All numbers are taken once an epoch on a small batch, so that they cost about a twentieth of an
epoch. Networks run in training mode: every member normalises by the batch's own statistics, as the
mixture does.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.seeds import derive_seed
from nas.supernet.health.agreement import gradient_agreement
from nas.supernet.mixtures.mixing import mix
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture
from nas.training.batches import part_tensors

if TYPE_CHECKING:
    from nas.supernet.paths import PathTraining
    from nas.supernet.relaxed_training import RelaxedTraining

MEMBERS = 4
"""Members drawn to be compared with their mixture."""
SHARPNESS_BOX = 0.1
"""Half width of the box around the logits, as a share of one plus their magnitude."""
MOST_FAMILIES, PER_FAMILY, DRAWS = 3, 2, 12
"""Families compared, members of each, draws to find them."""
SHARE_OF_EPOCH = 0.05
"""Of an epoch's steps that comparing gradients may cost."""
FEWEST_IMAGES, MOST_IMAGES = 32, 256

Batch = tuple[Tensor, Tensor]


def images_for(images_per_epoch: int) -> int:
    """Return how many images to measure on: a hundredth of an epoch's, within bounds."""
    return max(FEWEST_IMAGES, min(MOST_IMAGES, images_per_epoch // 100))


def loss_numbers(training: RelaxedTraining) -> dict[str, float]:
    """Return all of this module's numbers for an epoch that ends, on images of the gates' part."""
    count = images_for(len(training.batches.part))
    images, labels = training.gate_batches.at(training.step)
    batch = images[:count], labels[:count]
    numbers = mixture_numbers(training, batch)
    size = training.batches.batch_size
    if agreement_is_due(training.step, training.batches.steps_per_epoch, len(batch[0]), size):
        relaxation, space = training.relaxation, training.supernet.space

        def draw(rng: np.random.Generator) -> Architecture:
            return space.build(relaxation.draw(relaxation.sample(rng), rng))

        seed = derive_seed(training.seed, "agreement", training.step)
        numbers |= family_agreement(training.supernet, draw, batch, seed)
    return numbers


def path_agreement(training: PathTraining) -> dict[str, float]:
    """Return how the gradients of drawn members agree after an epoch of path training, if due."""
    batches, space = training.batches, training.supernet.space
    count = min(len(batches.part), images_for(len(batches.part)))
    if not agreement_is_due(training.step, batches.steps_per_epoch, count, batches.batch_size):
        return {}
    seed = derive_seed(training.seed, "agreement", training.step)
    images, labels = part_tensors(batches.part.limited(count, seed), training.device)
    batch = images.to(training.supernet.weights.anchor.dtype), labels
    return family_agreement(
        training.supernet, lambda rng: space.build(space.sample(rng)), batch, seed
    )


def mixture_numbers(training: RelaxedTraining, batch: Batch) -> dict[str, float]:
    """Return how a mixture compares with members, and how sharp the loss around its gates is.

    `gap` is the mean loss of members drawn from the last step's mixture, less the mixture's.
    `discretisation_gap` is the accuracy of the likeliest mixture less that of the member it
    settles on, with the weights as they are.
    """
    if training.last is None:
        return {}
    rng = np.random.default_rng(derive_seed(training.seed, "gap", training.step))
    context, mixing = training.last.context, training.last.mixing
    relaxation, space = training.relaxation, training.supernet.space
    with torch.no_grad():
        mixture = float(training.loss(mixing, relaxation.values(context), batch))
        members = [space.build(relaxation.draw(context, rng)) for _ in range(MEMBERS)]
        losses = [
            float(F.cross_entropy(_member(training, each, batch), batch[1])) for each in members
        ]
    return {
        "mixture_loss": mixture,
        "gap": math.fsum(losses) / MEMBERS - mixture,
        "discretisation_gap": discretisation_gap(training, batch),
        "sharpness": sharpness(training, batch),
    }


@torch.no_grad()
def discretisation_gap(training: RelaxedTraining, batch: Batch) -> float:
    """Return accuracy of the likeliest mixture less that of its discretisation, not retrained."""
    relaxation = training.relaxation
    context = relaxation.likeliest()
    mixing = mix(training.supernet, training.binder, context, training.portion)
    mixture = training.logits(mixing, relaxation.values(context), batch[0])
    settled = training.supernet.space.build(relaxation.discretise(context))
    return _accuracy(mixture, batch[1]) - _accuracy(_member(training, settled, batch), batch[1])


def sharpness(training: RelaxedTraining, batch: Batch) -> float:
    """Return the epsilon-sharpness of the loss around the gates, in percent.

    `100 (max L(a + d) - L(a)) / (1 + L(a))` over the box `|d_i| <= epsilon (|a_i| + 1)` of Keskar
    et al. 2017 (arXiv:1609.04836), here over the logits `a` of the last step, with the maximum
    taken at the box's corner along the gradient, where it is to first order. Never below 0.
    Self-distillation is to lower it (Zhu et al. 2023, SD-DARTS, arXiv:2302.05629).
    """
    if training.last is None:
        return 0.0
    relaxation, context = training.relaxation, training.last.context

    def loss() -> Tensor:
        return training.loss(training.last.mixing, relaxation.values(context), batch)  # type: ignore[union-attr]

    here = loss()
    if not here.requires_grad:
        return 0.0
    # Where everything was sampled whole, no gate is in the loss: its slope is 0.
    (gradient,) = torch.autograd.grad(
        here, [relaxation.logits], allow_unused=True, materialize_grads=True
    )
    logits = relaxation.logits.detach()
    corner = logits + SHARPNESS_BOX * (1 + logits.abs()) * gradient.sign()
    with torch.no_grad(), relaxation.at(corner):
        worst = float(loss())
    value = float(here.detach())
    return 100 * max(0.0, worst - value) / (1 + value)


def _member(training: RelaxedTraining, architecture: Architecture, batch: Batch) -> Tensor:
    logits: Tensor = training.supernet(batch[0], architecture)
    return logits.float()


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).double().mean())


def agreement_is_due(step: int, steps_per_epoch: int, images: int, batch_size: int) -> bool:
    """Tell whether gradients are compared after the epoch that ends at a step.

    Every epoch where that costs at most `SHARE_OF_EPOCH` of it, else once in so many.

    Args:
        step: Steps done.
        steps_per_epoch: Of the training.
        images: Per member that is compared.
        batch_size: Images of a step.
    """
    cost = MOST_FAMILIES * PER_FAMILY * images / batch_size
    interval = max(1, math.ceil(cost / SHARE_OF_EPOCH))
    return step // interval > (step - steps_per_epoch) // interval


def family_agreement(
    supernet: Supernet,
    draw: Callable[[np.random.Generator], Architecture],
    batch: Batch,
    seed: int,
) -> dict[str, float]:
    """Return the mean cosine of members' gradients within and between families.

    A family is a wiring: the patterns of all stages. What is not known is left out.

    Args:
        supernet: The shared weights, in training mode.
        draw: Draws a member.
        batch: Images and labels, the same for all.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    families: dict[tuple[str, ...], list[Architecture]] = defaultdict(list)
    for _ in range(DRAWS):
        architecture = draw(rng)
        known = families[architecture.wiring]
        if len(known) < PER_FAMILY and architecture not in known:
            known.append(architecture)
    largest = sorted(families.items(), key=lambda entry: -len(entry[1]))[:MOST_FAMILIES]
    named = {"/".join(wiring): members for wiring, members in largest}
    return gradient_agreement(supernet, named, *batch).numbers()
