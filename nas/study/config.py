"""The file of a study: one frozen model, every field with its meaning and unit.

A study's folder keeps the resolved file word for word in `run.yaml`, spaces declared in full. What
decides its numbers stands here; how many workers there are does not, and never changes them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from nas.errors import ConfigError
from nas.objectives.latency_config import LatencyConfig
from nas.run_store.layout import check_slug
from nas.training.recipe import Recipe

SCHEMA = "nas.study/1"

PositiveCount = Annotated[int, Field(ge=1, le=1_000_000)]


class _Part(BaseModel):
    """A frozen part of the file that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


@final
class MatchConfig(_Part):
    """The size at which all networks are compared."""

    macs: Annotated[int, Field(ge=1, le=10**15)]
    """Multiply-adds of one forward pass of one image, the head included."""

    tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """How far off a network may be, relative to `macs`."""

    outside: Literal["flag", "error"] = "flag"
    """What becomes of a method that has no network within the tolerance: its nearest one, flagged
    in every table, or an error before anything is trained."""


@final
class StudyConfig(_Part):
    """Everything that decides a study."""

    schema_: Literal["nas.study/1"] = Field(default="nas.study/1", alias="schema")
    """What this file is."""

    name: str
    """Name of the study and of its folder."""

    data: Annotated[list[str], Field(min_length=1, max_length=100)]
    """Data sets, each as in a search: `digits`, an .npz file, a folder, module:function."""

    spaces: Annotated[list[str | dict[str, Any]], Field(min_length=1, max_length=100)]
    """Search spaces by name or path, or declared inline."""

    methods: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=100)]
    """Rows of the table: `{kind: wiring, name: chain}`, `{kind: random}`, `{kind: search, ...}`;
    `label` names the row."""

    seeds: Annotated[int, Field(ge=1, le=1000)] = 5
    """Trainings per network, at least 2. Paired: one seed gives all networks the same images in
    the same order."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """From which all seeds are derived; another one gives fresh seeds, splits and random members.
    """

    match: MatchConfig | None = None
    """The size of all networks; null compares them as they come."""

    recipe: Recipe = Recipe()
    """The one recipe of all trainings."""

    image_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Side to which images are scaled, in pixels; null keeps theirs."""

    max_train_images: PositiveCount | None = None
    """Most training images used, the same for all trainings; null uses all."""

    test_images: PositiveCount | None = None
    """Most test images that a training is tested on, the same for all; null takes all."""

    control: str | None = None
    """Label of the method that the others are compared to; null takes the first search, or the
    first method where there is none."""

    latency: LatencyConfig | None = LatencyConfig()
    """How latency is measured when the trainings are over; null leaves it out."""

    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads of one training; results are bit-identical for one number only."""

    timeout_s: Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False)] = 86_400.0
    """Wall-clock limit of one training, in seconds."""

    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:0` or `mps`."""

    plugins: list[str] = []
    """Modules that register own operations, merges, patterns or study methods."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return check_slug(name)

    @field_validator("data")
    @classmethod
    def _check_data(cls, data: list[str]) -> list[str]:
        for place, name in enumerate(data):
            if name in data[:place]:
                raise ConfigError(
                    f"The data set '{name}' stands twice.",
                    why="The same trainings would count as two blocks of the comparison.",
                    fix="Name it once.",
                )
        return data

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: int) -> int:
        if seeds < 2:
            raise ConfigError(
                "A study of 1 seed has no spread; its table shows mean and deviation.",
                why="One training says nothing about how far another would differ.",
                fix="Write seeds: 5; at least 2.",
            )
        return seeds

    def to_dict(self) -> dict[str, Any]:
        """Return the config as plain values, keys as in the file."""
        return self.model_dump(mode="json", by_alias=True)
