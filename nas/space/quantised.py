"""A space whose members also decide in which number formats they ship.

Architecture and quantisation policy are searched together (Sridhar et al. 2023, SimQ-NAS,
arXiv:2312.13301): the policy is one more choice, or one per stage, beside those of the space. It
changes nothing that `build` returns, so supernet, relaxation and cost model never see it; what
reads it is the runtime that executes a member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, final

from nas.space.base import AbstractSpace
from nas.space.choices import Answer, Choice, Decisions, OneOf, Option
from nas.topology.graph import Architecture

CHOICE = "quantisation"
Per = Literal["network", "stage"]


@final
class QuantisedSpace(AbstractSpace):
    """A space and a choice of number formats.

    Args:
        inner: The space of architectures.
        policies: Number formats on offer, at least one; the first is that of members which say
            nothing.
        per: Whether one format is chosen for the whole network or one per stage.
    """

    def __init__(self, inner: AbstractSpace, policies: Sequence[str], per: Per) -> None:
        self.inner = inner
        self.name = inner.name
        self.summary = inner.summary
        self.policies = tuple(policies)
        self.per = per
        stages = len(inner.stage_patterns(inner.cover()[0]))
        numbers = range(1, stages + 1)
        self._parts = {f"stage{n}.{CHOICE}": f"stage{n}" for n in numbers}
        if per == "network":
            self._parts = {CHOICE: ""}

    @cached_property
    def _choices(self) -> tuple[Choice, ...]:
        options = tuple(Option(policy) for policy in self.policies)
        return (*self.inner.choices, *(OneOf(name, options) for name in self._parts))

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Those of the space, and the number formats."""
        return self._choices

    def formats(self, decisions: Mapping[str, Answer]) -> dict[str, str]:
        """Return the number format per stage, or that of the whole network under ''."""
        default = self.policies[0]
        return {part: str(decisions.get(name, default)) for name, part in self._parts.items()}

    def complete(self, decisions: Mapping[str, Answer]) -> Decisions:
        """Return decisions of the inner space with the first policy where they say nothing."""
        return {**dict.fromkeys(self._parts, self.policies[0]), **decisions}

    def _architecture(self, decisions: Mapping[str, Answer]) -> Decisions:
        return {name: answer for name, answer in decisions.items() if name not in self._parts}

    def build(self, decisions: Mapping[str, Answer]) -> Architecture:
        """Return the member's architecture, whatever its number formats."""
        return self.inner.build(self._architecture(decisions))

    def stage_patterns(self, decisions: Mapping[str, Answer]) -> tuple[str, ...]:
        """Return the pattern of every stage."""
        return self.inner.stage_patterns(self._architecture(decisions))

    def known(self) -> dict[str, Decisions]:
        """Return the hand-made wirings, in the first number format."""
        return {name: self.complete(each) for name, each in self.inner.known().items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the declaration of the inner space and the choice beside it."""
        added = {"policies": list(self.policies), "per": self.per}
        return {**self.inner.to_dict(), CHOICE: added}

    def member_id(self, decisions: Mapping[str, Answer]) -> str:
        """Return the structural id and the number formats."""
        formats = sorted(self.formats(decisions).items())
        distinct = {dtype for _, dtype in formats}
        told = distinct.pop() if len(distinct) == 1 else ",".join(f"{s}={d}" for s, d in formats)
        return f"{self.inner.member_id(self._architecture(decisions))} {told}"
