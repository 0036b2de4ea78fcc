"""What an arm is, and what it is told.

An arm is asked once, before the plan is written; what it yields is in the plan, in its order. An
arm that has to work for its networks (random search at equal cost) writes records of its own, so
that it goes on after `kill -9` where it was and yields the same networks.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

from nas.registry import Registry
from nas.run_store import Trial
from nas.search.confirm.candidate import Candidate, Kind, LeftOut

if TYPE_CHECKING:
    from nas.search.session import Session
    from nas.search.settings.config import ConfirmConfig


@final
@dataclass(frozen=True)
class ArmContext:
    """What an arm may look at.

    Args:
        session: Run, config, space, data and executor of the search.
        points: Trials of the front that were shortlisted, bin by bin, cheapest bin first.
        left_out: Competitors that could not be had; arms add to it.
    """

    session: Session
    points: Sequence[Trial]
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def settings(self) -> ConfirmConfig:
        """The settings of the confirmation."""
        return self.session.config.confirm

    def leave_out(self, arm: str, name: str, reason: str) -> None:
        """Note a competitor that cannot take part; it stands in the plan and in every table."""
        self.left_out.append(LeftOut(arm, name, reason))


class AbstractArm(abc.ABC):
    """A source of networks; subclasses are made without arguments."""

    name: ClassVar[str]
    kind: ClassVar[Kind]

    @abc.abstractmethod
    def candidates(self, context: ArmContext) -> Iterator[Candidate]:
        """Yield the arm's networks, the same ones whenever it is asked for the same front.

        Args:
            context: What it may look at; test images are not among it.
        """


ARMS: Registry[type[AbstractArm]] = Registry("arm", package="nas.search.confirm.arms")
