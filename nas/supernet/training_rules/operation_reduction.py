"""Reduction of the operation space: the weakest operation of every choice is dropped in turn.

Each round the space gets smaller and the rest of the training cheaper, until few operations are
left per choice. The weakest is the least likely one, or the one whose steps had the highest loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, final

import numpy as np
import torch.nn.functional as F
from pydantic import BaseModel, Field
from torch import Tensor

from nas.registry import Paper
from nas.space import Choice
from nas.supernet.alternations import Step
from nas.supernet.binding import role
from nas.supernet.budgets.pruning import (
    Weak,
    close_weak,
    epochs_of_gates,
    open_answers,
    weak_answers,
)
from nas.supernet.declared_parts import Misfit
from nas.supernet.fitting import Fitting, every_choice
from nas.supernet.gate_samplers import answers_of
from nas.supernet.loop import Checkpoint
from nas.supernet.training_rules import TRAINING_RULES, AbstractTrainingRule

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining


@final
class OperationReductionOptions(BaseModel, frozen=True, extra="forbid"):
    """When operations are dropped, by what, and how many stay."""

    keep: Annotated[int, Field(ge=1, le=1000)] = 1
    """Operations that stay per choice."""

    every_epochs: Annotated[int, Field(ge=1, le=10_000)] = 2
    """Epochs of the gates between two rounds; every round drops one operation of each choice."""

    by: Literal["probability", "loss"] = "probability"
    """What makes an operation weak: its probability, or the mean loss of the steps that drew it
    (for operations that are sampled; mixed ones share all losses)."""


@final
@TRAINING_RULES.register("operation_reduction", Paper("Chen et al.", 2019, arxiv="1911.10862"))
class OperationReduction(AbstractTrainingRule):
    """BNAS: at stated epochs every choice loses its weakest operation, until `keep` are left."""

    Options = OperationReductionOptions

    def misfit(self, fitting: Fitting) -> Misfit | None:
        """Refuse spaces without operations to choose from, and losses of mixed operations."""
        offered = [choice for choice in every_choice(fitting.space) if role(choice) == "operation"]
        if all(choice.members <= self.options.keep for choice in offered):
            return Misfit(
                f"no choice offers more than {self.options.keep} operations",
                "Leave it out, or offer more operations per node or stage.",
            )
        if self.options.by == "loss" and fitting.settings.operations == "mixed":
            return Misfit(
                "all mixed operations of a node share the loss of every step",
                "Set operations: sampled, or by: probability.",
            )
        return None

    def prepare(self, training: RelaxedTraining) -> None:
        """Start counting."""
        size = len(training.relaxation.open)
        self.losses, self.counts = np.zeros(size), np.zeros(size)

    def weight_loss(self, training: RelaxedTraining, step: Step, logits: Tensor) -> Tensor | None:
        """Note the loss for every operation that was drawn; nothing is added to it."""
        if self.options.by == "loss":
            loss = float(F.cross_entropy(logits.detach(), step.batch[1]))
            for choice in training.supernet.space.asked(step.context.base):
                if choice.name in step.context.sampled and role(choice) == "operation":
                    number = answers_of(choice).index(step.context.sampled[choice.name])
                    place = training.relaxation.answer_positions(choice)[number]
                    self.losses[place] += loss
                    self.counts[place] += 1
        return None

    def after_step(self, training: RelaxedTraining, step: Step) -> None:
        """Drop the weakest operation of every choice at the end of a round."""
        done = epochs_of_gates(training, step)
        if done == 0 or done % self.options.every_epochs:
            return
        close_weak(training.relaxation, self._weakest(training))
        self.losses[:], self.counts[:] = 0, 0  # each round is judged by its own steps

    def _weakest(self, training: RelaxedTraining) -> list[Weak]:
        spare = {
            choice.name
            for choice, answers in open_answers(training.relaxation)
            if len(answers) > self.options.keep
        }
        found: dict[str, Weak] = {}
        for weak in sorted(
            weak_answers(training.relaxation, ("operation",)),
            key=lambda weak: self._merit(training, weak),
        ):
            if weak.choice.name in spare:
                found.setdefault(weak.choice.name, weak)
        return list(found.values())

    def _merit(self, training: RelaxedTraining, weak: Weak) -> tuple[float, float]:
        """Return what an operation is kept for; one that was never drawn is judged by its share."""
        if self.options.by == "probability":
            return (0.0, weak.share)
        number = answers_of(weak.choice).index(weak.answer)
        place = training.relaxation.answer_positions(weak.choice)[number]
        mean = self.losses[place] / self.counts[place] if self.counts[place] else np.inf
        return (-float(mean), weak.share)

    def after_epoch(self, training: RelaxedTraining) -> dict[str, float]:
        """Return the mean number of open operations per choice."""
        open_counts = [
            len(answers) for choice, answers in open_answers(training.relaxation) if _offers(choice)
        ]
        return {"open_operations": float(np.mean(open_counts))}

    def arrays(self) -> Checkpoint:
        """Return the losses and how often each operation was drawn."""
        return {"losses": self.losses.copy(), "counts": self.counts.copy()}

    def load_arrays(self, arrays: Checkpoint) -> None:
        """Take what `arrays` gave."""
        self.losses, self.counts = arrays["losses"].copy(), arrays["counts"].copy()


def _offers(choice: Choice) -> bool:
    return role(choice) == "operation"
