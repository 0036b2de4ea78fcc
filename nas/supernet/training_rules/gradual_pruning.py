"""Gradual pruning under a growing resource term: one training leaves a series of networks.

Weights and gates learn on one level while expected cost is charged by a factor that grows whenever
the cost stops falling. After every few epochs the weakest answers are closed for good, so that the
mixture approaches a network step by step and no gap is left for the end; each stage leaves the
member that the gates stand for. Closed answers are not computed any more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, final

import numpy as np
from pydantic import BaseModel, Field
from torch import Tensor

from nas.cost.pieces import LinearLatency
from nas.registry import Paper
from nas.supernet.alternations import Step
from nas.supernet.binding import role
from nas.supernet.budgets.pruning import (
    FoundMember,
    close_weak,
    epochs_of_gates,
    find_members,
    from_array,
    front_of,
    to_array,
    weak_answers,
)
from nas.supernet.budgets.resources import ResourceName
from nas.supernet.declared_parts import Misfit
from nas.supernet.fitting import Fitting
from nas.supernet.loop import Checkpoint
from nas.supernet.regularisers.resource import Resource, ResourceOptions
from nas.supernet.training_rules import TRAINING_RULES, AbstractTrainingRule

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining

Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


@final
class GradualPruningOptions(BaseModel, frozen=True, extra="forbid"):
    """How fast the resource term grows, and what counts as weak."""

    resource: ResourceName = "macs"
    """What is charged."""

    latency: LinearLatency = LinearLatency()
    """Milliseconds of a piece, where `latency_ms` is charged."""

    growth: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 0.1
    """What the factor grows by at a stage, the first one included."""

    faster: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 2.0
    """What the growth is multiplied with at every stage at which the cost does not fall."""

    fall: Share = 0.01
    """Least fall of the expected cost in a stage, as a share of the largest member's cost."""

    every_epochs: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Length of a stage."""

    always: Share = 0.01
    """Answers below this share of the strongest of their choice are closed at once."""

    below: Share = 0.1
    """Answers below this share may be closed, the weakest first."""

    count: Annotated[int, Field(ge=0, le=100_000)] = 4
    """How many of those are closed at a stage."""


@final
@TRAINING_RULES.register("gradual_pruning", Paper("Bi et al.", 2020, arxiv="2007.03331"))
class GradualPruning(AbstractTrainingRule):
    """GOLD-NAS: a variable resource constraint, and pruning as it bites."""

    Options = GradualPruningOptions
    term: Resource

    def misfit(self, fitting: Fitting) -> Misfit | None:
        """Refuse spaces whose choices are all sampled whole."""
        if any(role(choice) != "joint" for choice in fitting.relaxed):
            return None
        return Misfit(
            "every choice of the space is answered whole; there is nothing to prune",
            "Offer edges, merges or (with relaxation.operations=mixed) operations to choose from.",
        )

    def prepare(self, training: RelaxedTraining) -> None:
        """Set up the resource term."""
        options = {"resource": self.options.resource, "latency": self.options.latency}
        self.term = Resource(ResourceOptions(**options))
        self.term.prepare(training.supernet, training.relaxation)
        self.factor = 0.0
        self.growth = self.options.growth / self.options.faster
        self.previous = math.nan
        self.closed = 0
        self.members: list[FoundMember] = []

    @property
    def found(self) -> list[FoundMember]:
        """The members every stage left, in order."""
        return self.members

    @property
    def front(self) -> list[FoundMember]:
        """Those of them that no other beats in both loss and the charged resource."""
        return front_of(self.members, self.options.resource)

    def gate_loss(self, training: RelaxedTraining, step: Step) -> Tensor | None:
        """Return the resource term times its present factor."""
        if not (step.gates_learn and self.factor):
            return None
        return self.factor * self.term.term(training.relaxation, step.context)

    def after_step(self, training: RelaxedTraining, step: Step) -> None:
        """End a stage: close what is weak, keep the member, let the factor grow."""
        if step.gates_learn and not self.members and math.isnan(self.previous):
            self._end_stage(training, step)  # the network before any pruning
            return
        done = epochs_of_gates(training, step)
        if done == 0 or done % self.options.every_epochs:
            return
        self._prune(training)
        self._end_stage(training, step)

    def _prune(self, training: RelaxedTraining) -> None:
        weak = weak_answers(training.relaxation)
        hopeless = [each for each in weak if each.share < self.options.always]
        weakest = [each for each in weak if each.share < self.options.below][: self.options.count]
        chosen = hopeless if len(hopeless) > len(weakest) else weakest
        self.closed += close_weak(training.relaxation, chosen)

    def _end_stage(self, training: RelaxedTraining, step: Step) -> None:
        self.members += find_members(training, self.term.model, step, self.factor)
        context = training.relaxation.likeliest()
        share = float(self.term.term(training.relaxation, context).detach())
        fell = self.previous - share >= self.options.fall  # False at the first stage
        self.growth = self.options.growth if fell else self.growth * self.options.faster
        self.factor += 0.0 if fell else self.growth
        self.previous = share

    def after_epoch(self, training: RelaxedTraining) -> dict[str, float]:
        """Return the factor, the expected cost and how many answers are closed."""
        numbers = {"resource_factor": self.factor, "closed": float(self.closed)}
        if not math.isnan(self.previous):
            numbers["resource"] = self.previous
        return numbers

    def arrays(self) -> Checkpoint:
        """Return factor, growth, cost, number of closed answers, and the members."""
        numbers = [self.factor, self.growth, self.previous, float(self.closed)]
        return {"numbers": np.array(numbers), "found": to_array(self.members)}

    def load_arrays(self, arrays: Checkpoint) -> None:
        """Take what `arrays` gave."""
        self.factor, self.growth, self.previous, closed = map(float, arrays["numbers"])
        self.closed = int(closed)
        self.members = from_array(arrays["found"])
