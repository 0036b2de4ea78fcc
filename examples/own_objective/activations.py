"""An objective of one's own: how many numbers the nodes of a network write for one image.

It stands for the memory that training needs. Registered on import; `search.yaml` names this
module. An objective says what it is called, in which unit it counts and where its numbers come
from (`computed` from the graph here), and measures one architecture. It is always minimised.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar, final

from nas.cost.shapes import plan
from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.names import objective
from nas.units import Unit


@objective()
@final
@dataclass(frozen=True)
class Activations(AbstractObjective):
    """Numbers in the outputs of all nodes, for one image."""

    family: ClassVar[str] = "activations"
    unit: ClassVar[Unit] = Unit.COUNT
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        """Add up the shapes of the plan."""
        steps = plan(context.architecture, context.input_shape).steps
        return self.answer(sum(prod(step.output) for step in steps))
