"""The contract of samplers: observations in, proposals out, nothing kept between two calls."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from nas.registry import Registry
from nas.space import AbstractSpace, Decisions


@final
@dataclass(frozen=True)
class Observation:
    """What became of one proposal.

    Args:
        decisions: The member.
        values: Its objectives, all to be minimised and finite; None for a failed trial.
        violations: Per constraint, by how much it is exceeded; 0 or less is met.
        state: What the sampler gave with the proposal; empty for members it did not propose.
    """

    decisions: Decisions
    values: tuple[float, ...] | None
    violations: Mapping[str, float] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Proposal:
    """A member to evaluate.

    Args:
        decisions: The member.
        state: What the sampler wants back with its result; plain JSON.
        parents: Positions in the history of what it was made from; empty where it was not.
    """

    decisions: Decisions
    state: Mapping[str, Any] = field(default_factory=dict)
    parents: tuple[int, ...] = ()


class AbstractSampler(abc.ABC):
    """Proposes members from the results so far."""

    @abc.abstractmethod
    def propose(
        self, space: AbstractSpace, history: Sequence[Observation], count: int, seed: int
    ) -> list[Proposal]:
        """Return `count` members; the same arguments give the same members.

        The caller deals with members that were evaluated before.

        Args:
            space: Where the members come from.
            history: Results in the order of proposing, possibly none.
            count: Members wanted, at least 1.
            seed: Of all draws, below 2**63.
        """


SAMPLERS: Registry[type[AbstractSampler]] = Registry("sampler", package="nas.search.samplers")
