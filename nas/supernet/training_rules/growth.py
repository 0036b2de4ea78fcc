"""Growth: a search that starts with few edges and opens others where the loss asks for them.

An edge is opened with its gate scaled to 0, so that the network computes the same at that moment,
and the scale rises to 1 over some epochs while gate and weights learn. Which edges are opened is
read off the gradient of the loss in their gates, all at once and before any of them is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, final

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor

from nas.registry import Paper
from nas.seeds import derive_seed
from nas.space import SubsetOf
from nas.supernet.alternations import Step
from nas.supernet.budgets.pruning import epochs_of_gates
from nas.supernet.declared_parts import Misfit
from nas.supernet.fitting import Fitting
from nas.supernet.loop import Checkpoint
from nas.supernet.mixtures.mixing import mix
from nas.supernet.training_rules import TRAINING_RULES, AbstractTrainingRule

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining

NEVER = -1


@final
class GrowthOptions(BaseModel, frozen=True, extra="forbid"):
    """When and how many edges are opened."""

    edges: Annotated[int, Field(ge=1, le=100_000)] = 2
    """Edges opened at a time: those whose gates have the lowest gradient."""

    every_epochs: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Epochs of the gates between two openings."""

    ramp_epochs: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    """Epochs over which the scale of a new edge rises from 0 to 1."""


@final
@TRAINING_RULES.register("growth", Paper("Yuan et al.", 2020, arxiv="2007.15353"))
class Growth(AbstractTrainingRule):
    """Start from the newest edge of every choice and open further ones at scale 0."""

    Options = GrowthOptions

    def misfit(self, fitting: Fitting) -> Misfit | None:
        """Refuse spaces without edges to choose."""
        if any(len(choice.items) > choice.minimum for choice in fitting.subsets):
            return None
        return Misfit(
            "it has no edges to choose",
            "Leave it out, or use a space with free wirings or cross-stage edges.",
        )

    def prepare(self, training: RelaxedTraining) -> None:
        """Close all edges but the newest that each choice needs."""
        relaxation = training.relaxation
        subsets = [choice for choice in relaxation.every_choice() if isinstance(choice, SubsetOf)]
        for choice in subsets:
            for item in choice.items[: len(choice.items) - choice.minimum]:
                relaxation.close(choice, item)
        self.training = training
        self.opened = np.full(len(relaxation.open), NEVER, dtype=np.int64)

    def after_step(self, training: RelaxedTraining, step: Step) -> None:
        """Let scales rise, and open edges at the end of a round."""
        self._scale(step.number + 1)
        done = epochs_of_gates(training, step)
        if done == 0 or done % self.options.every_epochs:
            return
        for choice, item in self._wanted(training, step)[: self.options.edges]:
            training.relaxation.reopen(choice, item)
            number = choice.items.index(item)
            self.opened[training.relaxation.answer_positions(choice)[number]] = step.number + 1
        self._scale(step.number + 1)

    def _scale(self, steps: int) -> None:
        length = self.options.ramp_epochs * self.training.batches.steps_per_epoch
        scale = np.where(self.opened == NEVER, 1.0, np.clip((steps - self.opened) / length, 0, 1))
        self.training.relaxation.scale_gates(torch.from_numpy(scale))

    def _wanted(self, training: RelaxedTraining, step: Step) -> list[tuple[SubsetOf, str]]:
        """Return the closed edges of a context, those first that lower the loss most."""
        rng = np.random.default_rng(derive_seed(training.seed, "growth", step.number))
        context = training.relaxation.sample(rng)
        closed, whole = context.closed, training.relaxation.without_closing(context)
        mixing = mix(training.supernet, training.binder, whole, training.portion)
        values = {
            name: value.detach().requires_grad_()
            for name, value in training.relaxation.values(whole).items()
        }
        loss = training.loss(mixing, values, training.gate_batches.at(step.number))
        names = [name for name in values if name in closed]
        if not names:
            return []
        gradients: tuple[Tensor | None, ...] = torch.autograd.grad(
            loss, [values[name] for name in names], allow_unused=True
        )
        slopes = dict(zip(names, gradients, strict=True))
        found: list[tuple[float, SubsetOf, str]] = []
        for choice in context.relaxed:
            slope = slopes.get(choice.name)
            if isinstance(choice, SubsetOf) and slope is not None:
                rows = zip(choice.items, slope.tolist(), strict=True)
                found.extend(
                    (value, choice, item) for item, value in rows if item in closed[choice.name]
                )
        return [(choice, item) for _, choice, item in sorted(found, key=lambda row: row[0])]

    def after_epoch(self, training: RelaxedTraining) -> dict[str, float]:
        """Return how many edges were opened."""
        return {"opened_edges": float((self.opened != NEVER).sum())}

    def arrays(self) -> Checkpoint:
        """Return the step at which each answer was opened."""
        return {"opened": self.opened.copy()}

    def load_arrays(self, arrays: Checkpoint) -> None:
        """Take what `arrays` gave."""
        self.opened = arrays["opened"].copy()
        self._scale(self.training.step)
