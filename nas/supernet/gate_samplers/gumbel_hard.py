"""Straight-through Gumbel-softmax: one option per step, the gradient of the soft one."""

from __future__ import annotations

from typing import ClassVar, final

import torch.nn.functional as F
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
    straight_through,
)
from nas.supernet.gate_samplers.gumbel_softmax import perturbed


@final
@GATE_SAMPLERS.register("gumbel_hard", Paper("Dong and Yang", 2019, arxiv="1910.04465"))
class GumbelHard(AbstractGateSampler):
    """The largest of the perturbed logits alone, as GDAS.

    Only the drawn option is computed. The gradient of its gate, the loss's gradient times its
    output, goes through the soft sample's derivative to all logits; options that did not run add
    nothing. (Published code adds the gates of the others as bare numbers, as if those options gave
    ones; no formula of the paper says so, and here it is left out.)
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"options"})
    leaves_out: ClassVar[bool] = True

    def probabilities(self, gate: GateInput) -> Tensor:
        """Return the softmax of the logits, the law that is drawn from."""
        return gate.masked.softmax(0)

    def surrogate(self, gate: GateInput) -> Tensor:
        """Return the perturbed softmax."""
        return perturbed(gate)

    def values(self, gate: GateInput) -> Tensor:
        """Return 1 for the drawn option and 0 for the others; the likeliest without noise."""
        soft = self.surrogate(gate)
        hard = F.one_hot(soft.detach().argmax(), len(soft)).to(soft)
        return straight_through(hard, soft)

    def vertex(self, choice: Choice, answer: Answer) -> Tensor:
        """Return logits far apart."""
        return VERTEX * is_on(choice, answer)
