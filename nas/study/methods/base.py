"""What a method of a study is, and what it is told.

A method is asked once per data set and space, before anything is trained for the table; what it
chose is written to the log, and that record alone decides what is trained. A method that works for
its choice keeps what it found in the study's folder, so that it goes on after `kill -9`.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

from pydantic import BaseModel, ConfigDict, Field

from nas.registry import Registry
from nas.space import AbstractSpace
from nas.study.config import StudyConfig
from nas.study.equal_macs import MacsTarget
from nas.topology.graph import Architecture

if TYPE_CHECKING:
    from nas.search.settings.config import SearchConfig
    from nas.study.session import StudySession


class MethodOptions(BaseModel):
    """Options every method has; a method adds its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str | None = Field(default=None, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")
    """Name of the row; by default the method's own."""


@final
@dataclass(frozen=True)
class Choice:
    """The networks of one row.

    Args:
        networks: Distinct networks, at least one.
        by_seed: Per seed of the study the places in `networks` that are trained with it; a row's
            figure for a seed is their mean.
        note: What a reader should know, as half a sentence.
        details: How they were found, plain JSON values.
        seconds: Wall-clock time it took to find them.
    """

    networks: tuple[Architecture, ...]
    by_seed: tuple[tuple[int, ...], ...]
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def same(cls, network: Architecture, seeds: int, note: str = "", **more: Any) -> Choice:
        """Return one network that is trained with every seed."""
        return cls((network,), ((0,),) * seeds, note, **more)


@final
@dataclass(frozen=True)
class MethodContext:
    """What a method may look at; test images are not among it.

    Args:
        config: The study.
        data: Name of the data set, as in the file.
        space: The space.
        target: The size all networks have, None where none is asked for.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Number of classes.
        row: Key of the row, a slug.
        seed: For the method's own draws.
    """

    config: StudyConfig
    data: str
    space: AbstractSpace
    target: MacsTarget | None
    input_shape: tuple[int, int, int]
    num_classes: int
    row: str
    seed: int


class AbstractMethod(abc.ABC):
    """A source of networks for one row of a study's table.

    Args:
        options: An instance of the class's own `Options`.
    """

    kind: ClassVar[str]
    Options: ClassVar[type[MethodOptions]] = MethodOptions
    options: Any

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    @final
    @property
    def label(self) -> str:
        """Name of the row."""
        return str(self.options.label or self.own_label)

    @property
    @abc.abstractmethod
    def own_label(self) -> str:
        """Name of the row where the file gives none."""

    def check(self, space: AbstractSpace) -> None:  # noqa: B027 - most methods fit every space
        """Refuse a space the method cannot choose from.

        Raises:
            NasError: Saying why.
        """

    @abc.abstractmethod
    def choose(self, context: MethodContext, session: StudySession) -> Choice:
        """Return the row's networks; the same ones for the same context.

        Args:
            context: What it may look at.
            session: Runs what the method trains.
        """

    def preview(self, context: MethodContext) -> Choice | None:
        """Return what `choose` would, where that needs no training; None where it does."""
        return None

    def search_config(self, context: MethodContext) -> SearchConfig | None:
        """Return the search that `choose` would run, for an estimate; None if it runs none."""
        return None


METHODS: Registry[type[AbstractMethod]] = Registry("study method", package="nas.study.methods")
