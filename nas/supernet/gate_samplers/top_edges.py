"""Discovered wirings: the strongest edges run, all of them learn."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, cast, final

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from nas.registry import Paper
from nas.space import Choice, SubsetOf
from nas.space.choices import Answer
from nas.supernet.gate_samplers import (
    GATE_SAMPLERS,
    GateInput,
    enough,
    is_on,
    out_of_reach,
    straight_through,
)
from nas.supernet.gate_samplers.edge_weights import AbstractEdgeWeights, magnitudes


@final
class TopEdgesOptions(BaseModel, frozen=True, extra="forbid"):
    """How many edges run."""

    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of a node's optional inputs that run, rounded up."""


@final
@GATE_SAMPLERS.register("top_edges", Paper("Wortsman et al.", 2019, arxiv="1906.00586"))
class TopEdges(AbstractEdgeWeights):
    """The edges of largest magnitude `|1 + logit|`; all get a gradient, as in DNW.

    The paper ranks the edges of the whole network; here each node ranks its own, because a node
    normalises its gates and weights of two nodes have no common scale. Equal magnitudes, as at the
    start, are ranked by the noise, so that all edges run until the gates learn. The probability of
    an edge is its share of the in-degree that is kept, at most 1.
    """

    Options: ClassVar[type[BaseModel]] = TopEdgesOptions

    def degree(self, choice: Choice) -> int:
        """Return how many edges of a choice run."""
        assert isinstance(choice, SubsetOf)
        return max(
            1, choice.minimum, math.ceil(float(self.options.share) * len(choice.items) - 1e-9)
        )

    def weights(self, gate: GateInput) -> Tensor:
        """Return the magnitudes of all edges."""
        return magnitudes(gate)

    def probabilities(self, gate: GateInput) -> Tensor:
        """Return `degree |w| / sum |w|`, at most 1."""
        weights = self.weights(gate)
        total = weights.sum()
        safe = torch.where(total > 0, total, torch.ones_like(total))
        return (self.degree(gate.choice) * weights / safe).clamp_max(1)

    def surrogate(self, gate: GateInput) -> Tensor:
        """Return the magnitudes: the backward pass does not know which edges ran."""
        return self.weights(gate)

    def values(self, gate: GateInput) -> Tensor:
        """Return the magnitudes of the strongest edges, 0 for the others."""
        weights = self.weights(gate)
        return straight_through(weights * self._strongest(gate, weights), weights)

    def _strongest(self, gate: GateInput, weights: Tensor) -> Tensor:
        number, device = len(weights), weights.device
        mixed = torch.arange(number, device=device)
        if gate.noise is not None:
            mixed = torch.randperm(number, generator=gate.noise, device=device)
        order = weights.detach()[mixed].argsort(descending=True, stable=True)
        mask = torch.zeros_like(weights)
        mask[mixed[order[: self.degree(gate.choice)]]] = 1
        return mask

    def settle(self, gate: GateInput) -> Answer:
        """Return the strongest edges."""
        weights = self.weights(gate).detach()
        chosen = (self._strongest(gate, weights) > 0) & (weights > 0)
        return enough(cast(SubsetOf, gate.choice), chosen.tolist(), weights.tolist())

    def reaches(self, choice: Choice, answer: Answer) -> bool:
        """Tell whether no more edges are on than run."""
        return isinstance(answer, list) and len(answer) <= self.degree(choice)

    def vertex(self, choice: Choice, answer: Answer) -> Tensor:
        """Return 0 for weight 1, and -1 for weight 0."""
        if not self.reaches(choice, answer):
            raise out_of_reach("top_edges", choice, answer, self.degree(choice))
        return is_on(choice, answer) - 1
