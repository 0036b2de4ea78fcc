"""Perturbation: an option is as strong as the supernet is worse without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, final

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor

from nas.registry import Paper
from nas.seeds import derive_seed
from nas.space import Choice, Decisions, OneOf
from nas.space.choices import Answer
from nas.supernet.discretisations import DISCRETISATIONS, AbstractDiscretisation, Trained
from nas.supernet.gate_samplers import answers_of, enough, is_on
from nas.supernet.mixtures.mixture import Mixing
from nas.supernet.relaxation import Context


@final
class PerturbationOptions(BaseModel, frozen=True, extra="forbid"):
    """What happens between two decisions."""

    tuning_steps: int = Field(default=0, ge=0, le=100_000)
    """Steps of the weights on the weights' images after each decision, as published; they are
    undone when the member stands."""

    learning_rate: float = Field(default=0.01, gt=0, le=100, allow_inf_nan=False)
    """Learning rate of these steps."""


@final
@DISCRETISATIONS.register("perturbation", Paper("Wang et al.", 2021, arxiv="2108.04392"))
class Perturbation(AbstractDiscretisation):
    """Choices settle one after another in a seeded order, by loss instead of by gate (DARTS-PT).

    The strength of an answer is the loss on the gates' images once it is taken away, with all
    choices settled so far held. An option wins if the loss without it is highest. Of a set of
    edges as many stay as the gates would keep: how many is theirs to say, which ones is not.
    """

    Options: ClassVar[type[BaseModel]] = PerturbationOptions

    def settle(self, trained: Trained, context: Context) -> Decisions:
        """Return the member of a context by perturbation."""
        mixing = trained.mix(context)
        with torch.no_grad():
            values = trained.relaxation.values(context)
        order = np.random.default_rng(derive_seed(trained.seed, "perturbation order", 0))
        answers: dict[str, Answer] = {}
        with trained.undone():
            for number in order.permutation(len(context.relaxed)).tolist():
                choice = context.relaxed[number]
                answers[choice.name] = self._decide(trained, mixing, values, choice)
                values[choice.name] = is_on(choice, answers[choice.name]).to(values[choice.name])
                for step in range(self.options.tuning_steps):
                    trained.tune(mixing, values, step, self.options.learning_rate)
        return trained.relaxation.settle(context, _answer_from(answers))

    def _decide(
        self, trained: Trained, mixing: Mixing, values: dict[str, Tensor], choice: Choice
    ) -> Answer:
        kept = values[choice.name]
        open_answers = trained.relaxation.gate(choice).open.tolist()
        losses = np.full(len(kept), -np.inf)
        for position in range(len(kept)):
            if open_answers[position]:
                changed = {**values, choice.name: without(choice, kept, position)}
                losses[position] = trained.loss(mixing, changed)
        if isinstance(choice, OneOf):
            return choice.options[int(losses.argmax())].value
        usual = trained.relaxation.sampler(choice).settle(trained.relaxation.gate(choice))
        count = len(usual) if isinstance(usual, list) else 0
        strongest = np.argsort(-losses, kind="stable")[:count]
        chosen = [position in strongest for position in range(len(answers_of(choice)))]
        return list(enough(choice, chosen, losses))


def without(choice: Choice, values: Tensor, position: int) -> Tensor:
    """Return gate values with one answer taken away.

    Options keep their sum: the others grow in proportion, or share equally where all were 0.

    Args:
        choice: The choice.
        values: `(answers,)`.
        position: Of the answer.
    """
    left = values.clone()
    left[position] = 0.0
    if not isinstance(choice, OneOf):
        return left
    total = left.sum()
    if total > 0:
        return left * (values.sum() / total)
    others = torch.ones_like(values)
    others[position] = 0.0
    return others * (values.sum() / others.sum().clamp_min(1))


def _answer_from(answers: dict[str, Answer]) -> Callable[[Choice], Answer]:
    return lambda choice: answers[choice.name]
