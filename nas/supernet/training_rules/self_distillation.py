"""Self-distillation: the supernet learns from what earlier snapshots of itself say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field
from torch import Tensor

from nas.registry import Paper
from nas.supernet.alternations import Step
from nas.supernet.checkpoints import Checkpoint, below
from nas.supernet.training_rules import TRAINING_RULES, AbstractTrainingRule

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining


@final
class SelfDistillationOptions(BaseModel, frozen=True, extra="forbid"):
    """Who teaches, and how much."""

    strength: float = Field(default=2.0, gt=0, le=1000, allow_inf_nan=False)
    """Factor on the divergence from the teachers, beside the cross-entropy's 1."""

    teachers: int = Field(default=3, ge=1, le=64)
    """Snapshots that vote, the latest ones; each takes the memory of the shared weights."""

    every_epochs: float = Field(default=0.34, gt=0, le=1000)
    """Epochs between two snapshots; teachers from long ago hold the training back."""

    temperature: float = Field(default=1.0, gt=0, le=100)
    """Of the softmax of teachers and student."""


@final
@dataclass(frozen=True)
class Snapshot:
    """The supernet at an earlier step.

    Args:
        weights: Whole slots by key.
        logits: Of the gates.
    """

    weights: dict[str, Tensor]
    logits: Tensor


@final
@TRAINING_RULES.register("self_distillation", Paper("Zhu et al.", 2023, arxiv="2302.05629"))
class SelfDistillation(AbstractTrainingRule):
    """A divergence from the vote of earlier snapshots, added to the weights' loss (SD-DARTS).

    A teacher is a snapshot of weights and gates, run on the same images in the same context
    without gate noise; the vote is the mean of the teachers' probabilities. What changes fast
    between snapshots is pulled back, which leads to flatter minima.
    """

    Options: ClassVar[type[BaseModel]] = SelfDistillationOptions

    def __init__(self, options: SelfDistillationOptions | None = None) -> None:
        super().__init__(options)
        self.snapshots: list[Snapshot] = []

    def weight_loss(self, training: RelaxedTraining, step: Step, logits: Tensor) -> Tensor | None:
        """Return `T^2 KL(vote || student)` times the strength; None before the first snapshot."""
        if not self.snapshots:
            return None
        temperature = self.options.temperature
        votes = [self._vote(training, step, snapshot) for snapshot in self.snapshots]
        vote = torch.stack(votes).mean(0)
        student = (logits / temperature).log_softmax(-1)
        divergence = F.kl_div(student, vote, reduction="batchmean")
        factor: float = self.options.strength * temperature**2
        return divergence * factor

    @torch.no_grad()
    def _vote(self, training: RelaxedTraining, step: Step, snapshot: Snapshot) -> Tensor:
        slots = training.supernet.weights
        fitting = {
            key: value.to(slots.anchor)  # they come back from a checkpoint on the CPU
            for key, value in snapshot.weights.items()
            if key in slots and slots.slot(key).shape == value.shape  # else widened meanwhile
        }
        with slots.replaced(fitting), training.relaxation.at(snapshot.logits):
            values = training.relaxation.values(step.context)
            logits = training.logits(step.mixing, values, step.batch[0])
        temperature: float = self.options.temperature
        return (logits / temperature).softmax(-1)

    def after_step(self, training: RelaxedTraining, step: Step) -> None:
        """Take a snapshot when it is time."""
        every = max(1, round(self.options.every_epochs * training.batches.steps_per_epoch))
        if (step.number + 1) % every:
            return
        weights = {key: value.detach().clone() for key, value in training.supernet.weights.slots()}
        self.snapshots.append(Snapshot(weights, training.relaxation.logits.detach().clone()))
        del self.snapshots[: -self.options.teachers]

    def arrays(self) -> Checkpoint:
        """Return every snapshot."""
        found: Checkpoint = {}
        for number, snapshot in enumerate(self.snapshots):
            found[f"{number}/logits"] = snapshot.logits.cpu().numpy().copy()
            for key, value in snapshot.weights.items():
                found[f"{number}/weights/{key}"] = value.cpu().numpy().copy()
        return found

    def load_arrays(self, arrays: Checkpoint) -> None:
        """Take the snapshots of `arrays`."""
        self.snapshots = []
        while f"{len(self.snapshots)}/logits" in arrays:
            number = len(self.snapshots)
            weights = below(arrays, f"{number}/weights/")
            self.snapshots.append(
                Snapshot(
                    {key: torch.from_numpy(value.copy()) for key, value in weights.items()},
                    torch.from_numpy(arrays[f"{number}/logits"].copy()),
                )
            )
