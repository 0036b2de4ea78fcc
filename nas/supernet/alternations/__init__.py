"""Alternations: how weights and gates take turns; one file each.

A bilevel alternation answers one question: the gradient of the logits at a step. The training does
the rest (Adam on the logits, SGD on the weights): a new one is a formula and nothing else.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from torch import Tensor

from nas.registry import Registry
from nas.supernet.declared_parts import AbstractPart
from nas.supernet.mixtures.mixture import Mixing
from nas.supernet.relaxation import Context

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining

Batch = tuple[Tensor, Tensor]
"""Images `(batch, channels, height, width)` and labels `(batch,)`."""


@final
@dataclass(frozen=True, eq=False)
class Step:
    """What a step knows.

    Args:
        number: Of the step, from 0.
        context: What was sampled whole.
        mixing: The relaxed member.
        batch: Of the weights' part.
        learning_rate: Of the weights.
        progress: Share of the gates' steps that are done, from 0 to 1.
        gates_learn: Whether the gates move at this step.
    """

    number: int
    context: Context
    mixing: Mixing
    batch: Batch
    learning_rate: float
    progress: float
    gates_learn: bool


class AbstractAlternation(AbstractPart):
    """How weights and gates take turns.

    A plain one is one-level: weights and gates learn from one pass on the weights' images.
    """


class AbstractBilevel(AbstractAlternation):
    """Gates that learn on images of their own, in a step before that of the weights."""

    @abc.abstractmethod
    def gate_gradient(self, training: RelaxedTraining, step: Step) -> tuple[Tensor, Tensor]:
        """Return the loss on the gates' images and the gradient of the logits."""


ALTERNATIONS: Registry[type[AbstractAlternation]] = Registry("alternation", __name__)
