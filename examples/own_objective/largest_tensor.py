"""An objective of one's own: the largest tensor a network holds, in numbers.

Registered on import; `search.yaml` names this module. An objective says what it is called, in
which unit it counts and where its numbers come from (`computed` from the graph here), and
measures one architecture. It is always minimised.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar, final

from nas.cost.shapes import plan
from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.names import objective


@objective()
@final
@dataclass(frozen=True)
class LargestTensor(AbstractObjective):
    """Numbers in the largest tensor between two nodes, for one image."""

    family: ClassVar[str] = "largest_tensor"
    unit: ClassVar[str] = "numbers"
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        """Look at every node's merged input and output."""
        steps = plan(context.architecture, context.input_shape).steps
        return self.answer(
            max(prod(shape) for step in steps for shape in (step.merged, step.output))
        )
