"""The truth of members: what each scores when it is trained alone, whatever any supernet says.

A truth depends on the space, the data, the recipe and the seed, never on shared weights, so one
table of truths judges every supernet, sharing policy and path sampler of a study. Members are drawn
in equal numbers per family: a uniform draw of a large space is nearly all `mixed`.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor

from nas.errors import SpaceError
from nas.model.network import Network
from nas.seeds import derive_seed
from nas.space import AbstractSpace, Decisions
from nas.training.batches import part_tensors
from nas.training.evaluate import Evaluation, evaluate
from nas.training.fit import Training
from nas.training.parts import FiveParts
from nas.training.recipe import Recipe

TRIES_PER_MEMBER = 20_000
"""Draws before a family counts as exhausted: a pure family may be one member in hundreds."""


@final
@dataclass(frozen=True)
class Truth:
    """One member, trained alone.

    Args:
        member: Structural id.
        decisions: Its decisions.
        family: The pattern of all its stages, or `mixed`.
        cross_entropies: On validation, one per seed, in nats.
        errors: The same as fractions of wrong answers.
    """

    member: str
    decisions: Decisions
    family: str
    cross_entropies: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def cross_entropy(self) -> float:
        """Mean over seeds, in nats."""
        return statistics.fmean(self.cross_entropies)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "member": self.member,
            "decisions": self.decisions,
            "family": self.family,
            "cross_entropies": list(self.cross_entropies),
            "errors": list(self.errors),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        lists = {name: tuple(values[name]) for name in ("cross_entropies", "errors")}
        return cls(values["member"], dict(values["decisions"]), values["family"], **lists)


def stratified_members(
    space: AbstractSpace, count: int, seed: int, families: Sequence[str]
) -> dict[str, Decisions]:
    """Draw distinct members, the same number of each family, by structural id.

    Args:
        space: The space.
        count: Members in all; the first families get one more where it does not divide.
        seed: Of the draws; each family has draws of its own, so that another list of families
            keeps the members of those that stay.
        families: Patterns, and `mixed` for members of several.

    Raises:
        SpaceError: If a family has fewer distinct members than asked for.
    """
    found: dict[str, Decisions] = {}
    for number, family in enumerate(families):
        wanted = count // len(families) + (number < count % len(families))
        rng = np.random.default_rng(derive_seed(seed, f"family {family}", 0))
        mine = 0
        for _ in range(TRIES_PER_MEMBER * wanted):
            if mine == wanted:
                break
            decisions = space.sample(rng)
            if space.family(decisions) != family:
                continue
            name = space.member_id(decisions)
            if name not in found:
                found[name] = decisions
                mine += 1
        if mine < wanted:
            raise SpaceError(
                f"The space '{space.name}' gave {mine} members of the family '{family}', "
                f"{wanted} are wanted.",
                where=f"family '{family}'",
                fix="Ask for fewer members, or leave this family out.",
            )
    return found


def train_alone(
    space: AbstractSpace,
    decisions: Decisions,
    parts: FiveParts,
    recipe: Recipe,
    *,
    seed: int,
    index: int,
    device: torch.device | str = "cpu",
    validation: tuple[Tensor, Tensor] | None = None,
) -> Evaluation:
    """Train a member on the weights' part from fresh weights and score it on validation.

    Args:
        space: The space.
        decisions: The member.
        parts: The data.
        recipe: How to train.
        seed: Of the run.
        index: Which of its trainings; decides initial weights and order of the data.
        device: Where to train.
        validation: Images and labels, if they are loaded already.
    """
    training = begin_alone(space, decisions, parts, recipe, seed=seed, index=index, device=device)
    training.run()
    images, labels = validation or part_tensors(parts.validation, training.device)
    return evaluate(training.module, images, labels)


def begin_alone(
    space: AbstractSpace,
    decisions: Decisions,
    parts: FiveParts,
    recipe: Recipe,
    *,
    seed: int,
    index: int,
    device: torch.device | str = "cpu",
) -> Training:
    """Return the training of `train_alone` before its first step."""
    own = derive_seed(seed, "alone", index)
    channels, height, width = parts.weights.images.shape[1:]
    network = Network(
        space.build(decisions),
        (channels, height, width),
        int(parts.training.labels.max()) + 1,
        initialisation=recipe.initialisation,
        seed=own,
    )
    return Training(network, parts.weights, recipe, seed=own, device=device)
