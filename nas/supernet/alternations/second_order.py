"""Second-order bilevel training: the gates look one step of the weights ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from nas.registry import Paper
from nas.supernet.alternations import ALTERNATIONS, AbstractBilevel, Step
from nas.supernet.bilevel import Weights, difference_gradient, unrolled_gradient
from nas.supernet.weights import leading_slice

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining


@final
class SecondOrderOptions(BaseModel, frozen=True, extra="forbid"):
    """How far ahead, and how exactly."""

    xi: float | None = Field(default=None, ge=0, le=100, allow_inf_nan=False)
    """Step of the weights that is looked ahead; null takes their learning rate."""

    finite_difference: bool = False
    """Whether the mixed derivative is the paper's central difference: two passes more instead of
    a second derivative, less memory, and an error of the square of its step."""


@final
@ALTERNATIONS.register("second_order", Paper("Liu et al.", 2019, arxiv="1806.09055"))
class SecondOrder(AbstractBilevel):
    """The gradient of the gates' loss after one plain step of gradient descent on the weights.

    The step that is looked ahead has the decay of the weights and not their momentum. State
    buffers have no second derivative, so everything here runs on the plain path.
    """

    Options: ClassVar[type[BaseModel]] = SecondOrderOptions

    def gate_gradient(self, training: RelaxedTraining, step: Step) -> tuple[Tensor, Tensor]:
        """Return the loss on the gates' images after the step, and its gradient."""
        look = _Look(training, step)
        options = self.options
        rate = step.learning_rate if options.xi is None else options.xi
        way = difference_gradient if options.finite_difference else unrolled_gradient
        gates = training.relaxation.logits
        gradient = way(look.train, look.validation, look.weights(), gates, rate)
        return look.seen, gradient


@final
class _Look:
    """The two losses of a step as functions of the slots that it reads."""

    def __init__(self, training: RelaxedTraining, step: Step) -> None:
        self.training = training
        self.step = step
        self.shapes = training.active(step)
        self.seen = torch.zeros(())

    def weights(self) -> list[Tensor]:
        slots = self.training.supernet.weights
        return [slots.slot(key).detach() for key in self.shapes]

    def _loss(self, weights: Weights, batch: tuple[Tensor, Tensor]) -> Tensor:
        training, step = self.training, self.step
        replaced = dict(zip(self.shapes, weights, strict=True))
        with training.supernet.weights.replaced(replaced):
            return training.loss(step.mixing, training.values(step), batch, plain=True)

    def train(self, weights: Weights) -> Tensor:
        loss = self._loss(weights, self.step.batch)
        decay = self.training.config.weight_decay
        if not decay:
            return loss
        read = [
            leading_slice(weight, shape)
            for weight, shape in zip(weights, self.shapes.values(), strict=True)
            if weight.dim() >= 2  # as the optimiser decays
        ]
        return loss + 0.5 * decay * torch.stack([part.square().sum() for part in read]).sum()

    def validation(self, weights: Weights) -> Tensor:
        loss = self._loss(weights, self.training.gate_images(self.step))
        self.seen = loss.detach()
        return self.training.gate_objective(self.step, loss)
