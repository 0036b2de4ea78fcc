"""One uniformly drawn member per step."""

from __future__ import annotations

from typing import final

from nas.registry import Paper
from nas.supernet.path_samplers import AbstractPathSampler, Lesson, Moment, path_sampler


@final
@path_sampler("uniform", Paper("Guo et al.", 2019, arxiv="1904.00420"))
class Uniform(AbstractPathSampler):
    """Answer every question of the space uniformly.

    So each pattern is equally likely, whatever number of members it has.
    """

    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return one lesson."""
        return (Lesson(self.scene.space.sample(moment.rng)),)
