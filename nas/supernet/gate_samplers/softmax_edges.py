"""Softmax over the inputs of a node: edges compete, as DARTS's operations do."""

from __future__ import annotations

from typing import final

from torch import Tensor

from nas.registry import Paper
from nas.space import Choice
from nas.space.choices import Answer
from nas.supernet.gate_samplers import GATE_SAMPLERS, GateInput, is_on
from nas.supernet.gate_samplers.edge_weights import AbstractEdgeWeights

OFF = -800.0
"""Logit whose exponential is exactly 0 in float64."""


@final
@GATE_SAMPLERS.register("softmax_edges", Paper("Xu et al.", 2020, arxiv="1907.05737"))
class SoftmaxEdges(AbstractEdgeWeights):
    """Exponentials of the logits, as the edge normalisation of PC-DARTS.

    The node divides by their sum, which makes them the softmax over its inputs.
    """

    def weights(self, gate: GateInput) -> Tensor:
        """Return the exponential of the logits over the temperature."""
        return (gate.masked / gate.temperature).exp()

    def vertex(self, choice: Choice, answer: Answer) -> Tensor:
        """Return 0, and far below it for edges that are off."""
        return OFF * (1 - is_on(choice, answer))
