"""Softmax over the options of a choice: the relaxation of DARTS."""

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
@GATE_SAMPLERS.register("softmax", Paper("Liu et al.", 2019, arxiv="1806.09055"))
class Softmax(AbstractGateSampler):
    """Every option with its softmax probability, all of them at every step."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"options"})

    def probabilities(self, gate: GateInput) -> Tensor:
        """Return the softmax of the logits over the temperature."""
        return (gate.masked / gate.temperature).softmax(0)

    def vertex(self, choice: Choice, answer: Answer) -> Tensor:
        """Return logits far apart."""
        return VERTEX * is_on(choice, answer)
