"""Hard-concrete gates: stretched and clipped, so that a gate can be exactly 0 and still learn."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, final

from pydantic import BaseModel, Field
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
class HardConcreteOptions(BaseModel, frozen=True, extra="forbid"):
    """Shape of the law, as in the paper by default."""

    beta: Annotated[float, Field(gt=0, le=1)] = 2 / 3
    """Temperature of the concrete law, times that of the relaxation."""

    stretch: Annotated[float, Field(gt=0, le=1)] = 0.1
    """How far the interval reaches beyond 0 and 1 before it is clipped."""


@final
@GATE_SAMPLERS.register("hard_concrete", Paper("Louizos et al.", 2018, arxiv="1712.01312"))
class HardConcrete(AbstractGateSampler):
    """Independent gates `clip(stretched concrete, 0, 1)` per edge.

    The probability of an edge is that its gate is not 0, which is what the paper's L0 term counts;
    where all gates of a node are drawn 0, the node reads nothing at that step.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"edges"})
    Options: ClassVar[type[BaseModel]] = HardConcreteOptions

    def probabilities(self, gate: GateInput) -> Tensor:
        """Return `sigmoid(logit - beta log(stretch / (1 + stretch)))`."""
        stretch = float(self.options.stretch)
        shift = self._beta(gate) * math.log(stretch / (1 + stretch))
        return (gate.masked - shift).sigmoid()

    def values(self, gate: GateInput) -> Tensor:
        """Return one draw; the paper's estimate at test time without noise."""
        logits = gate.masked
        if gate.noise is not None:
            uniform = gate.uniform()
            logits = (uniform.log() - (-uniform).log1p() + logits) / self._beta(gate)
        stretch = float(self.options.stretch)
        return (logits.sigmoid() * (1 + 2 * stretch) - stretch).clamp(0, 1)

    def _beta(self, gate: GateInput) -> float:
        return float(self.options.beta * gate.temperature)

    def vertex(self, choice: Choice, answer: Answer) -> Tensor:
        """Return logits far from 0 on either side."""
        return VERTEX * (2 * is_on(choice, answer) - 1)
