"""Gumbel-softmax: a softmax of perturbed logits, soft in both passes."""

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


def perturbed(gate: GateInput) -> Tensor:
    """Return the softmax of logits plus Gumbel noise over the temperature; plain without noise.

    The largest entry is a sample of the softmax of the logits at every temperature (Gumbel-max).
    """
    logits = gate.masked
    if gate.noise is not None:
        logits = logits - (-gate.uniform().log()).log()
    return (logits / gate.temperature).softmax(0)


@final
@GATE_SAMPLERS.register("gumbel_softmax", Paper("Jang et al.", 2017, arxiv="1611.01144"))
class GumbelSoftmax(AbstractGateSampler):
    """Perturbed softmax (also Maddison et al. 2017, arXiv:1611.00712, as the concrete law).

    Probabilities are those of the law that is sampled, the softmax of the logits at temperature 1;
    the temperature says how close one draw is to a vertex.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"options"})

    def probabilities(self, gate: GateInput) -> Tensor:
        """Return the softmax of the logits."""
        return gate.masked.softmax(0)

    def values(self, gate: GateInput) -> Tensor:
        """Return one perturbed softmax, differentiable through the noise."""
        return perturbed(gate)

    def vertex(self, choice: Choice, answer: Answer) -> Tensor:
        """Return logits far apart."""
        return VERTEX * is_on(choice, answer)
