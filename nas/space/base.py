"""What every search space offers, derived from its choices and from how it builds a member."""

from __future__ import annotations

import abc
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, final

import numpy as np

from nas.cost.count import cost
from nas.errors import NasError, NotFoundError, SpaceError
from nas.registry import Registry
from nas.space import choices as language
from nas.space.choices import Answer, Ask, Choice, Decisions, OneOf
from nas.topology.graph import Architecture
from nas.topology.identity import trained_id

DISTINCT_LIMIT = 1_000_000
"""Largest space whose distinct members are counted by building each."""

REFERENCE_SHAPE = (3, 32, 32)
"""Input at which members are compared by cost when no data is at hand."""


def check_known(registry: Registry[Any], names: Iterable[str], key: str) -> None:
    """Check that all names of a declaration's key are registered.

    Args:
        registry: Where they have to be.
        names: What the key holds.
        key: Path of the key, as in `stages.0.merge`; becomes the error's `where`.

    Raises:
        NotFoundError: If one is not; the message lists what there is.
    """
    for name in names:
        try:
            registry.get(name)
        except NotFoundError as error:
            error.where = key
            raise


class AbstractSpace(abc.ABC):
    """A set of architectures, described by named choices.

    Subclasses give `choices`, `build`, `wiring` and `known`; all else is derived here.
    """

    name: str
    summary: str

    @property
    @abc.abstractmethod
    def choices(self) -> tuple[Choice, ...]:
        """The independent choices."""

    @abc.abstractmethod
    def build(self, decisions: Mapping[str, Answer]) -> Architecture:
        """Return the member that `decisions` describe.

        Raises:
            SpaceError: If an answer is missing or invalid.
        """

    @abc.abstractmethod
    def stage_patterns(self, decisions: Mapping[str, Answer]) -> tuple[str, ...]:
        """Return the pattern of every stage."""

    @abc.abstractmethod
    def known(self) -> dict[str, Decisions]:
        """Return the hand-made wirings that are members, by pattern name."""

    @abc.abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the declaration, as its file holds it."""

    def member_id(self, decisions: Mapping[str, Answer]) -> str:
        """Return the id of the member: equal for members that train as the same network."""
        return trained_id(self.build(decisions))

    @final
    def wiring(self, decisions: Mapping[str, Answer]) -> str:
        """Return the stages' patterns joined by '-'."""
        return "-".join(self.stage_patterns(decisions))

    @final
    def family(self, decisions: Mapping[str, Answer]) -> str:
        """Return the one pattern of all stages, or `mixed`."""
        patterns = set(self.stage_patterns(decisions))
        return patterns.pop() if len(patterns) == 1 else "mixed"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the declaration, 16 hex digits: equal for equal spaces."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @final
    def count(self) -> int:
        """Return the number of members: the ways to answer all questions."""
        return language.count_members(self.choices)

    @final
    def distinct(self, limit: int = DISTINCT_LIMIT) -> int | None:
        """Return the number of different networks, or None for more than `limit` members."""
        if self.count() > limit:
            return None
        return len({self.member_id(member) for member in self.enumerate()})

    @final
    def walk(self, ask: Ask) -> Decisions:
        """Ask every question that applies, in order."""
        return language.walk(self.choices, ask)

    @final
    def asked(self, decisions: Mapping[str, Answer]) -> list[Choice]:
        """Return the questions that apply under `decisions`."""
        return language.asked(self.choices, decisions)

    @final
    def normalise(self, decisions: Mapping[str, Answer]) -> Decisions:
        """Check decisions and drop answers to questions that do not apply."""
        return language.normalise(self.choices, decisions)

    @final
    def sample(self, rng: np.random.Generator) -> Decisions:
        """Draw a member; every question that applies is answered uniformly."""
        return language.sample(self.choices, rng)

    @final
    def enumerate(self) -> Iterator[Decisions]:
        """Yield the decisions of every member once."""
        return language.enumerate_members(self.choices)

    @final
    def neighbours(self, decisions: Mapping[str, Answer]) -> Iterator[Decisions]:
        """Yield the members one answer away."""
        return language.neighbours(self.choices, decisions)

    @final
    def mutate(self, decisions: Mapping[str, Answer], rng: np.random.Generator) -> Decisions:
        """Change one answer at random."""
        return language.mutate(self.choices, decisions, rng)

    @final
    def crossover(
        self, first: Mapping[str, Answer], second: Mapping[str, Answer], rng: np.random.Generator
    ) -> Decisions:
        """Combine two members stage by stage."""
        return language.crossover(self.choices, first, second, rng)

    @final
    def cover(self) -> list[Decisions]:
        """Return few members that hold every option of every choice."""
        return language.cover(self.choices)

    @final
    def reference(self, input_shape: tuple[int, int, int] = REFERENCE_SHAPE) -> Decisions:
        """Return the member with the most MACs, with all edges of its wiring.

        The covering members are raised one kind of question at a time (all operations of a
        network together), the best of them one answer at a time.
        """
        known: dict[str, int] = {}  # the best one is asked about with every other

        def macs(decisions: Decisions) -> int:
            key = json.dumps(decisions, sort_keys=True)
            if key not in known:
                known[key] = cost(self.build(decisions), input_shape, 10).macs
            return known[key]

        best = max((self._raised(member, macs) for member in self.cover()), key=macs)
        preferred = {question_of(name): answer for name, answer in best.items()}

        def fill(choice: Choice) -> Answer:
            answer = preferred.get(question_of(choice.name))
            return answer if answer is not None and choice.valid(answer) else choice.default()

        improved = True
        while improved:
            improved = False
            for other in language.neighbours(self.choices, best, fill):
                if macs(other) > macs(best):
                    best, improved = other, True
        return best

    def _raised(self, member: Decisions, macs: Callable[[Decisions], int]) -> Decisions:
        """Give all questions of one kind the answer that costs most, kind by kind."""
        leaves = [
            choice
            for choice in self.asked(member)
            if isinstance(choice, OneOf) and not any(option.choices for option in choice.options)
        ]
        for kind in sorted({question_of(choice.name) for choice in leaves}):
            group = [choice for choice in leaves if question_of(choice.name) == kind]
            values = {option.value for choice in group for option in choice.options}
            trials = [
                {**member, **{choice.name: value for choice in group if choice.valid(value)}}
                for value in sorted(values, key=str)
            ]
            member = max([member, *trials], key=macs)
        return member

    @final
    def check(self, input_shape: tuple[int, int, int] = REFERENCE_SHAPE) -> None:
        """Build the covering members, so that a space that validates also searches.

        Raises:
            SpaceError: If a member cannot be built or computed at `input_shape`.
        """
        for decisions in self.cover():
            try:
                cost(self.build(decisions), input_shape, 2)
            except NasError as error:
                raise SpaceError(
                    f"A member of the space '{self.name}' cannot be built: {error.what}",
                    where=", ".join(
                        f"{name}={decisions[name]}"
                        for name in decisions
                        if name.endswith((".pattern", ".depth", ".width"))
                    )
                    or None,
                    why=error.why,
                    fix=error.fix,
                ) from error


def question_of(name: str) -> str:
    """Return what a choice asks, such as `depth` of `stage2.depth`: the last part of its name."""
    return name.rsplit(".", 1)[-1]
