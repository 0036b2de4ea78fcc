"""Gates by sharing policy: the same space, its choices renamed by what their gates belong to.

A relaxation keeps the gates of a choice under the choice's name, so `stage1.op2.operation` has one
gate in every wiring. Where a policy says otherwise (`supernet.sharing: {gates: family}`), choices
that a pattern opens get the name their policy gives them, and the relaxation needs to know nothing:
equal names share gates, others do not. Members, and the slots of weights, stay the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, final

from nas.space import AbstractSpace, Choice, Decisions, OneOf
from nas.space.choices import Answer, SubsetOf, normalise, walk
from nas.supernet.sharing_rule import SharingRule
from nas.topology.graph import Architecture


@final
class GateSpace(AbstractSpace):
    """A space under the names of its gates.

    Args:
        space: The space.
        rule: Its sharing policies, that of gates among them.
    """

    def __init__(self, space: AbstractSpace, rule: SharingRule) -> None:
        self.space = space
        self.rule = rule
        self.name = space.name
        self.summary = space.summary
        self._plain = space.choices
        self._choices = tuple(self._rename(choice, {}) for choice in self._plain)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The choices, renamed."""
        return self._choices

    def _rename(
        self,
        choice: Choice,
        above: Mapping[str, Answer],
        architecture: Architecture | None = None,
    ) -> Choice:
        """Rename a choice that others open; what stands at the top decides who shares.

        Args:
            choice: The choice.
            above: The answers that open it.
            architecture: A member with these answers, None for a choice that nothing opens.
        """
        name = choice.name
        if architecture is not None:
            name = self.rule.gate_slot(name, architecture)
        if isinstance(choice, SubsetOf):
            return replace(choice, name=name)
        options = []
        for option in choice.options:
            inner: tuple[Choice, ...] = ()
            if option.choices:
                opening = {**above, choice.name: option.value}
                member = self._member(opening)
                inner = tuple(self._rename(each, opening, member) for each in option.choices)
            options.append(replace(option, choices=inner))
        return replace(choice, name=name, options=tuple(options))

    def _member(self, above: Mapping[str, Answer]) -> Architecture:
        def ask(choice: Choice) -> Answer:
            return above.get(choice.name, choice.default())

        return self.space.build(walk(self._plain, ask))

    def original(self, decisions: Mapping[str, Answer]) -> Decisions:
        """Return a member's decisions under the space's own names."""
        given = normalise(self._choices, decisions)
        return _translated(self._choices, self._plain, given)

    def renamed(self, decisions: Mapping[str, Answer]) -> Decisions:
        """Return a member's decisions under the names of gates."""
        given = normalise(self._plain, decisions)
        return _translated(self._plain, self._choices, given)

    def build(self, decisions: Mapping[str, Answer]) -> Architecture:
        """Return the member that `decisions` describe."""
        return self.space.build(self.original(decisions))

    def stage_patterns(self, decisions: Mapping[str, Answer]) -> tuple[str, ...]:
        """Return the pattern of every stage."""
        return self.space.stage_patterns(self.original(decisions))

    def known(self) -> dict[str, Decisions]:
        """Return the hand-made wirings that are members, by pattern name."""
        return {name: self.renamed(member) for name, member in self.space.known().items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the space's declaration and the policy of gates."""
        return {**self.space.to_dict(), "gates": self.rule.config.gates}


def _translated(
    source: tuple[Choice, ...], target: tuple[Choice, ...], decisions: Mapping[str, Answer]
) -> Decisions:
    found: Decisions = {}
    for ours, theirs in zip(source, target, strict=True):
        answer = decisions[ours.name]
        found[theirs.name] = answer
        if isinstance(ours, OneOf) and isinstance(theirs, OneOf):
            option, other = ours.option(answer), theirs.option(answer)
            if option is not None and other is not None:
                found |= _translated(option.choices, other.choices, decisions)
    return found
