"""Edge weights: what samplers share whose edges have a strength rather than a probability.

A node normalises the gates of its inputs (`nas.supernet.gates`), so a strength counts only in
proportion to the others of its node, and its sign, which no member has, is dropped. Probabilities
are strengths relative to the strongest, which is 1.
"""

from __future__ import annotations

import abc
from typing import ClassVar

import torch
from torch import Tensor

from nas.space import SubsetOf
from nas.space.choices import Choice
from nas.supernet.gate_samplers import AbstractGateSampler, GateInput, Kind


class AbstractEdgeWeights(AbstractGateSampler):
    """Gates of edges from weights that are not negative."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"edges"})

    @abc.abstractmethod
    def weights(self, gate: GateInput) -> Tensor:
        """Return the weight of every edge, `(answers,)`; 0 for closed ones."""

    def probabilities(self, gate: GateInput) -> Tensor:
        """Return the weights relative to the largest."""
        return relative(gate.choice, self.weights(gate))

    def values(self, gate: GateInput) -> Tensor:
        """Return the weights; the node normalises them."""
        return self.weights(gate)


def relative(choice: Choice, weights: Tensor) -> Tensor:
    """Return weights over the largest; all 0 where none is above 0.

    A subset that may be empty stands beside an edge that is always on, of weight 1.
    """
    largest = weights.max()
    if isinstance(choice, SubsetOf) and choice.minimum == 0:
        largest = largest.clamp_min(1)
    return weights / torch.where(largest > 0, largest, torch.ones_like(largest))


def magnitudes(gate: GateInput) -> Tensor:
    """Return `|1 + logit|`: weights that start at 1; 0 for closed edges."""
    return torch.where(gate.open, (1 + gate.logits).abs(), 0.0)
