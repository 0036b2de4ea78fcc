"""Block-wise training: every stage learns what the teacher's stage makes of the same input."""

from __future__ import annotations

import re
from typing import Annotated, final

from pydantic import BaseModel, Field

from nas.registry import Paper
from nas.space import AbstractSpace, Decisions
from nas.supernet.path_samplers import AbstractPathSampler, Lesson, Moment, Scene, path_sampler

_STAGE = re.compile(r"(?:^|\.)stage(\d+)\.")


@final
class BlockwiseOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of `blockwise`."""

    teacher_share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Share of the training that trains the teacher, the largest member, on labels."""


@final
@path_sampler("blockwise", Paper("Li et al.", 2019, arxiv="1911.13053"))
class Blockwise(AbstractPathSampler):
    """Train the largest member, then stages of drawn members, each between the teacher's states.

    Each stage reads the teacher's state before it and is compared with the teacher's state behind
    it, so weights of one stage never adapt to what another drew, and members are rated by the sum
    of their blocks' losses (`nas.supernet.blocks`). BossNAS (Li et al. 2021, arXiv:2103.12424) is
    the same without a trained teacher.
    """

    Options = BlockwiseOptions
    by_stages = True

    def check(self, space: AbstractSpace) -> None:
        """Refuse a space whose questions do not belong to stages."""
        loose = [choice.name for choice in space.choices if stage_of(choice.name) is None]
        if loose or not space.choices:
            raise self.unfit(
                space,
                f"The question '{(*loose, '')[0]}' belongs to no stage, so stages cannot be "
                "trained one by one.",
                "Use a space of stages, or another sampler.",
            )

    def begin(self, scene: Scene) -> None:
        """Count the stages."""
        super().begin(scene)
        self.stages = sorted({stage_of(choice.name) or 0 for choice in scene.space.choices})

    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return the teacher, or one lesson per stage of a drawn member."""
        teacher = self.scene.sizes.largest
        if moment.progress < self.options.teacher_share:
            return (Lesson(teacher, distilled=False),)
        member = self.scene.space.sample(moment.rng)
        return tuple(
            Lesson(spliced(teacher, member, stage), 1 / len(self.stages), stage=stage)
            for stage in self.stages
        )


def stage_of(name: str) -> int | None:
    """Return the stage, from 1, that a question or a node belongs to by its name."""
    found = _STAGE.search(name)
    return None if found is None else int(found.group(1))


def spliced(teacher: Decisions, member: Decisions, stage: int) -> Decisions:
    """Return the teacher with one stage of the member.

    A stage of the member then reads states of the teacher's own widths.
    """
    mine = {name: answer for name, answer in member.items() if stage_of(name) == stage}
    rest = {name: answer for name, answer in teacher.items() if stage_of(name) != stage}
    return {**rest, **mine}
