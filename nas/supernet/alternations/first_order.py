"""First-order bilevel training: gates on images of their own, weights taken as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from nas.registry import Paper
from nas.supernet.alternations import ALTERNATIONS, AbstractBilevel, Step

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining


@final
@ALTERNATIONS.register("first_order", Paper("Liu et al.", 2019, arxiv="1806.09055"))
class FirstOrder(AbstractBilevel):
    """The gradient of the gates' loss at the present weights (DARTS with xi = 0)."""

    def gate_gradient(self, training: RelaxedTraining, step: Step) -> tuple[Tensor, Tensor]:
        """Return loss and gradient on the gates' images."""
        values = training.values(step)
        loss = training.loss(step.mixing, values, training.gate_images(step))
        objective = training.gate_objective(step, loss)
        (gradient,) = torch.autograd.grad(objective, [training.relaxation.logits])
        return loss.detach(), gradient
