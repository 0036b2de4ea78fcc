"""Frozen weights: the gates alone learn, on shared weights as they were given.

For a wiring on top of weights that are already trained, and for telling whether gates can find a
wiring at all: with weights that learn, many wirings fit the same labels.
"""

from __future__ import annotations

from typing import ClassVar, final

from nas.registry import Paper
from nas.supernet.training_rules import TRAINING_RULES, AbstractTrainingRule


@final
@TRAINING_RULES.register("frozen_weights", Paper("Ramanujan et al.", 2019, arxiv="1911.13299"))
class FrozenWeights(AbstractTrainingRule):
    """No shared weight moves; the learning rate of every step is 0.

    A step that looks ahead (second order) then looks at the weights as they are.
    """

    freezes_weights: ClassVar[bool] = True
