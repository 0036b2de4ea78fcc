"""Learned connectivity: every edge has a free weight, learned like any other."""

from __future__ import annotations

from typing import final

from torch import Tensor

from nas.registry import Paper
from nas.space import Choice
from nas.space.choices import Answer
from nas.supernet.gate_samplers import GATE_SAMPLERS, GateInput, is_on
from nas.supernet.gate_samplers.edge_weights import AbstractEdgeWeights, magnitudes


@final
@GATE_SAMPLERS.register("toponet", Paper("Yuan et al.", 2020, arxiv="2008.08261"))
class TopoNet(AbstractEdgeWeights):
    """Weights `|1 + logit|` on a complete graph: all edges start on and equal.

    The weight itself, not a squashed one, multiplies the state, so its gradient does not fade
    where an edge is nearly on or nearly off. The paper's sparsity term is a regulariser.
    """

    def weights(self, gate: GateInput) -> Tensor:
        """Return the magnitudes."""
        return magnitudes(gate)

    def vertex(self, choice: Choice, answer: Answer) -> Tensor:
        """Return 0 for weight 1, and -1 for weight 0."""
        return is_on(choice, answer) - 1
