"""Independent sigmoids: every edge has a gate of its own, none competes with another."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor

from nas.registry import Paper
from nas.space import Choice
from nas.space.choices import Answer
from nas.supernet.gate_samplers import (
    GATE_SAMPLERS,
    VERTEX,
    AbstractGateSampler,
    GateInput,
    Kind,
    is_on,
)


@final
@GATE_SAMPLERS.register("sigmoid", Paper("Bi et al.", 2020, arxiv="2007.03331"))
class Sigmoid(AbstractGateSampler):
    """Every edge on with the sigmoid of its logit, as the gates of GOLD-NAS."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"edges"})

    def probabilities(self, gate: GateInput) -> Tensor:
        """Return the sigmoid of the logits over the temperature."""
        return (gate.masked / gate.temperature).sigmoid()

    def vertex(self, choice: Choice, answer: Answer) -> Tensor:
        """Return logits far from 0 on either side."""
        return VERTEX * (2 * is_on(choice, answer) - 1)
