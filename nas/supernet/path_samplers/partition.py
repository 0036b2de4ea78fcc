"""Few-shot training: one sub-supernet per answer to a joint question, after a common start."""

from __future__ import annotations

from typing import Annotated, Any, final

import numpy as np
from pydantic import BaseModel, Field

from nas.registry import Paper
from nas.space import AbstractSpace, Choice, OneOf
from nas.space.choices import Answer
from nas.supernet.path_samplers import AbstractPathSampler, Lesson, Moment, Scene, path_sampler

DRAWS = 32
"""Members by which questions about patterns are told from others."""


@final
class PartitionOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of `partition`."""

    question: str | None = None
    """Question that asks for a stage's pattern, as `stage2.pattern`; null takes the first."""

    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of the training before the parts get weights of their own."""


@final
@path_sampler("partition", Paper("Zhao et al.", 2020, arxiv="2006.06863"))
class Partition(AbstractPathSampler):
    """Train all patterns of one stage together, then give each its own copy of the weights.

    From there on each step goes to the part that has had the fewest multiply-adds, so that all
    parts together cost what the undivided supernet does, and each the same. AutoDistil (Xu et al.
    2022, arXiv:2201.12507) divides its space likewise.
    """

    Options = PartitionOptions

    def __init__(self, options: PartitionOptions | None = None) -> None:
        super().__init__(options)
        self._spent: dict[str, int] = {}

    def check(self, space: AbstractSpace) -> None:
        """Refuse a space without an open pattern."""
        found = pattern_questions(space)
        if not found or self.options.question not in (None, *found):
            asked = f"'{self.options.question}'" if self.options.question else "No question"
            raise self.unfit(
                space,
                f"{asked} asks for the pattern of a stage, and parts are divided by it; "
                f"questions that do: {', '.join(found) or 'none'}.",
                "Name one of them as `question`, or use 'uniform'.",
            )

    def begin(self, scene: Scene) -> None:
        """Find the question and its answers."""
        super().begin(scene)
        questions = pattern_questions(scene.space)
        self.question = self.options.question or next(iter(questions))
        self.stage = questions[self.question]
        choice = next(each for each in scene.space.choices if each.name == self.question)
        assert isinstance(choice, OneOf)
        self._spent = {str(option.value): 0 for option in choice.options}

    def division(self, progress: float) -> int | None:
        """Return the stage once the common start is over."""
        return self.stage if progress >= self.options.warmup_share else None

    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return a member of the part whose turn it is."""
        space = self.scene.space
        if self.division(moment.progress) is None:
            return (Lesson(space.sample(moment.rng)),)
        part = min(self._spent, key=lambda name: self._spent[name])

        def ask(choice: Choice) -> Answer:
            return part if choice.name == self.question else choice.sample(moment.rng)

        member = space.walk(ask)
        self._spent[part] += self.scene.sizes.macs(member)
        return (Lesson(member),)

    def state(self) -> dict[str, Any]:
        """Return the multiply-adds each part has had per image."""
        return {"spent": self._spent}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take them."""
        self._spent = {name: int(macs) for name, macs in state["spent"].items()}


def pattern_questions(space: AbstractSpace) -> dict[str, int]:
    """Return the independent questions whose answer is the pattern of a stage, with the stage.

    Found by comparing answers with the patterns of members, from 0; names are not read.
    """
    # Covering members answer all stages side by side; drawn ones tell the stages apart.
    rng = np.random.default_rng(0)
    members = [*space.cover(), *(space.sample(rng) for _ in range(DRAWS))]
    patterns = [space.stage_patterns(member) for member in members]
    found = {}
    for choice in space.choices:
        if not isinstance(choice, OneOf) or len(choice.options) < 2:
            continue
        given = [member[choice.name] for member in members]
        for stage in range(len(patterns[0])):
            if given == [row[stage] for row in patterns]:
                found[choice.name] = stage
                break
    return found
