"""Path samplers: which members a step of path training trains, and how; one file each.

A sampler answers every step with lessons, which are plain data; it never touches weights. What it
needs to know of the world is in its `Scene` (fixed) and its `Moment` (the step). A sampler that
remembers something between steps gives it as plain JSON, and the checkpoint keeps it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, final

import numpy as np

from nas.errors import SpaceError
from nas.registry import Paper, Registry
from nas.space import AbstractSpace, Decisions
from nas.supernet.declared_parts import AbstractPart
from nas.supernet.member_sizes import MemberSizes

WHERE = "supernet.training.sampler"


@final
@dataclass(frozen=True)
class Lesson:
    """One member to train in a step.

    Args:
        decisions: The member.
        weight: Of its loss in the step's; the weights of a step add up to 1.
        rows: First image of the batch and the one behind the last; None for the whole batch.
        distilled: Whether it also learns the largest member's soft labels, where the training
            distils at all; the largest member itself never does.
        stage: Number of the only stage that is trained, from 1, towards the output of the
            teacher's; None trains the whole member on labels.
    """

    decisions: Decisions
    weight: float = 1.0
    rows: tuple[int, int] | None = None
    distilled: bool = True
    stage: int | None = None


def equal_lessons(members: Iterable[Decisions]) -> tuple[Lesson, ...]:
    """Return one lesson per member on the whole batch, all of one weight."""
    chosen = list(members)
    return tuple(Lesson(decisions, 1 / len(chosen)) for decisions in chosen)


@final
@dataclass(frozen=True)
class Scene:
    """What stays the same during a training.

    Args:
        space: The space.
        sizes: Multiply-adds of its members, the largest and the smallest.
        seed: Of the training; a draw outside of the steps derives its own from it.
        batch_size: Images of a step.
        zero_cost: From a score's name and a member to a number that is larger for better ones.
        predictor: From a member to its predicted loss; None if nothing predicts.
    """

    space: AbstractSpace
    sizes: MemberSizes
    seed: int
    batch_size: int
    zero_cost: Callable[[str, Decisions], float]
    predictor: Callable[[Decisions], float] | None = None


@final
@dataclass(frozen=True)
class Moment:
    """One step.

    Args:
        step: Its number, from 0.
        progress: Share of all steps that lie before it, in [0, 1).
        rng: Of this step alone.
        loss_of: From a member to its loss on the step's images, with the weights as they are.
    """

    step: int
    progress: float
    rng: np.random.Generator
    loss_of: Callable[[Decisions], float]


class AbstractPathSampler(AbstractPart):
    """Decides what a step trains.

    Attributes:
        name: Registered name.
        learns: Whether `observe` wants the losses; reading them waits for an accelerator.
        by_stages: Whether it trains stages between a teacher's states, and so neither learns soft
            labels nor weights that a hypernetwork emits.
        scene: Set by `begin`.
    """

    name: ClassVar[str] = ""
    learns: ClassVar[bool] = False
    by_stages: ClassVar[bool] = False
    scene: Scene

    def check(self, space: AbstractSpace) -> None:
        """Refuse a space that the sampler does not fit.

        Raises:
            SpaceError: Then.
        """

    def begin(self, scene: Scene) -> None:
        """Take the scene, once, before the first step.

        Raises:
            SpaceError: If the sampler does not fit the space.
        """
        self.check(scene.space)
        self.scene = scene

    @abc.abstractmethod
    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return what the step trains; at least one lesson."""

    def observe(self, lessons: Sequence[Lesson], losses: Sequence[float]) -> None:
        """Take the losses of a step's lessons, if the sampler `learns`."""

    def proposals(self) -> list[Decisions]:
        """Return members that the search is to try first, once the training is over."""
        return []

    def division(self, progress: float) -> int | None:
        """Return the stage whose patterns have weights of their own from now on, from 0."""
        return None

    def images_per_member(self, batch_size: int) -> int:
        """Return the fewest images a member is trained on in a step."""
        return batch_size

    def state(self) -> dict[str, Any]:
        """Return what the sampler remembers, as plain JSON."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take what `state` gave."""

    @final
    def unfit(self, space: AbstractSpace, why: str, fix: str) -> SpaceError:
        """Return the error for a space that the sampler does not fit."""
        return SpaceError(
            f"The path sampler '{self.name}' does not fit the space '{space.name}'.",
            where=WHERE,
            why=why,
            fix=fix,
        )


PATH_SAMPLERS: Registry[type[AbstractPathSampler]] = Registry("path sampler", __name__)
Sampler = TypeVar("Sampler", bound=AbstractPathSampler)


def path_sampler(name: str, paper: Paper) -> Callable[[type[Sampler]], type[Sampler]]:
    """Register the decorated class under `name`."""

    def decorate(sampler: type[Sampler]) -> type[Sampler]:
        sampler.name = name
        PATH_SAMPLERS.add(name, sampler, paper)
        return sampler

    return decorate
