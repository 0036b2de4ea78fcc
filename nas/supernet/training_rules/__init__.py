"""Training rules: what acts on weights or gates while a relaxation trains; one file each.

A rule has hooks and, where it remembers anything, arrays that go into the checkpoint: a training
that goes on from a checkpoint gives the same bits as one that was never interrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from nas.registry import Registry
from nas.supernet.alternations import Step
from nas.supernet.budgets.pruning import FoundMember
from nas.supernet.declared_parts import AbstractPart
from nas.supernet.loop import Checkpoint

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining


class AbstractTrainingRule(AbstractPart):
    """Hooks into a relaxed training; all of them may do nothing."""

    freezes_weights: ClassVar[bool] = False
    """Whether the shared weights stay as they are and the gates alone learn."""

    @property
    def found(self) -> list[FoundMember]:
        """Members that the rule left on its way, in order."""
        return []

    @property
    def front(self) -> list[FoundMember]:
        """Those of them that no other beats in both loss and what the rule charges for."""
        return []

    def prepare(self, training: RelaxedTraining) -> None:
        """Look at the space once, before the training.

        Raises:
            ConfigError: If the rule does not fit the space or the other parts.
        """

    def weight_loss(self, training: RelaxedTraining, step: Step, logits: Tensor) -> Tensor | None:
        """Return a term for the loss of the weights' step, given the logits of its images."""
        return None

    def gate_loss(self, training: RelaxedTraining, step: Step) -> Tensor | None:
        """Return a term for the loss of the gates' step, differentiable in the logits."""
        return None

    def after_step(self, training: RelaxedTraining, step: Step) -> None:
        """Act after weights and gates moved."""

    def after_epoch(self, training: RelaxedTraining) -> dict[str, float]:
        """Act after an epoch; return numbers for the epoch's health."""
        return {}

    def arrays(self) -> Checkpoint:
        """Return what the rule remembers."""
        return {}

    def load_arrays(self, arrays: Checkpoint) -> None:
        """Take what `arrays` gave."""


TRAINING_RULES: Registry[type[AbstractTrainingRule]] = Registry("training rule", __name__)
