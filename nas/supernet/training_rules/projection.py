"""Projection during the training: after gates moved, their expected cost is within the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, final

import numpy as np
from pydantic import Field

from nas.errors import BudgetError
from nas.registry import Paper
from nas.supernet.alternations import Step
from nas.supernet.budgets.budget import Budget
from nas.supernet.budgets.expected_cost import CostModel
from nas.supernet.budgets.resources import BudgetOptions
from nas.supernet.loop import Checkpoint
from nas.supernet.training_rules import TRAINING_RULES, AbstractTrainingRule

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining


@final
class ProjectionOptions(BudgetOptions, frozen=True, extra="forbid"):
    """The budget, and how often it is enforced."""

    every_steps: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    """Steps of the gates between two projections."""


@final
@TRAINING_RULES.register("projection", Paper("Jin et al.", 2019, arxiv="1912.12814"))
class Projection(AbstractTrainingRule):
    """RC-DARTS: the gates follow the loss freely for a few steps, then return within the budget.

    Joint choices are sampled whole; one without any member within the budget is left as it is, and
    counted.
    """

    Options = ProjectionOptions

    def prepare(self, training: RelaxedTraining) -> None:
        """Set up the costs."""
        supernet = training.supernet
        model = CostModel(
            supernet.space, supernet.input_shape, supernet.num_classes, self.options.latency
        )
        self.budget = Budget(model, self.options.limits(model.largest))
        self.projected = 0
        self.impossible = 0

    def after_step(self, training: RelaxedTraining, step: Step) -> None:
        """Project the gates of the step's context."""
        if not step.gates_learn or (step.number + 1) % self.options.every_steps:
            return
        try:
            self.projected += self.budget.project(training.relaxation, step.context)
        except BudgetError:
            self.impossible += 1

    def after_epoch(self, training: RelaxedTraining) -> dict[str, float]:
        """Return how often gates were moved, and how many contexts had no member within."""
        return {"projected": float(self.projected), "over_budget": float(self.impossible)}

    def arrays(self) -> Checkpoint:
        """Return the counts."""
        return {"counts": np.array([self.projected, self.impossible], dtype=np.int64)}

    def load_arrays(self, arrays: Checkpoint) -> None:
        """Take what `arrays` gave."""
        self.projected, self.impossible = (int(value) for value in arrays["counts"])
