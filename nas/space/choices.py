"""The language of spaces: named questions, and one walk that asks those which apply.

A space is a tuple of independent choices. `OneOf` picks an option, and an option may open further
choices (a pattern opens its depths, a depth its nodes); `SubsetOf` picks a set of items (which
earlier nodes feed this one). Everything else derives from these two: the number of members,
sampling, enumeration, neighbours, mutation, crossover, the supernet's slots and the distributions
of an outer sampler. Nothing here knows what a question is about.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import comb, prod
from typing import TypeAlias, final

import numpy as np

from nas.errors import SpaceError
from nas.registry import suggest

Value: TypeAlias = str | int | float | bool
Answer: TypeAlias = Value | list[str]
Decisions: TypeAlias = dict[str, Answer]
"""An answer to every question that applies, in the order of asking; plain JSON."""


@final
@dataclass(frozen=True)
class Option:
    """One answer to a `OneOf`, and the choices it opens."""

    value: Value
    choices: tuple[Choice, ...] = ()

    @cached_property
    def members(self) -> int:
        """Number of ways to answer everything this option opens."""
        return count_members(self.choices)


@final
@dataclass(frozen=True)
class OneOf:
    """A question with exactly one answer.

    Args:
        name: Unique among the questions that can apply together, such as `stage1.pattern`.
        options: At least one.
        elastic: Smaller options are slices of the largest (widths): the supernet holds the
            largest only.
        parent: The options are nodes, and the one chosen alone feeds another node (branching).
    """

    name: str
    options: tuple[Option, ...]
    elastic: bool = False
    parent: bool = False

    def __post_init__(self) -> None:
        if not self.options:
            raise SpaceError(f"The choice '{self.name}' has no options.", fix="Offer at least one.")
        values = [option.value for option in self.options]
        if len(set(map(repr, values))) != len(values):
            raise SpaceError(
                f"The choice '{self.name}' offers an option twice: {values}.",
                fix="Write every option once.",
            )

    @cached_property
    def members(self) -> int:
        """Number of answers, with everything they open."""
        return sum(option.members for option in self.options)

    def option(self, answer: object) -> Option | None:
        """Return the option with this value, or None."""
        for option in self.options:
            if option.value == answer and type(option.value) is type(answer):
                return option
        return None

    def valid(self, answer: object) -> bool:
        """Tell whether `answer` is one of the options."""
        return self.option(answer) is not None

    def sample(self, rng: np.random.Generator) -> Answer:
        """Draw an option, each with the same probability."""
        return self.options[int(rng.integers(len(self.options)))].value

    def default(self) -> Answer:
        """Return the first option."""
        return self.options[0].value

    def nearby(self, answer: Answer) -> Iterator[Answer]:
        """Yield the other options."""
        return (option.value for option in self.options if option.value != answer)

    def describe(self) -> str:
        """Return the options in words."""
        return ", ".join(str(option.value) for option in self.options)


@final
@dataclass(frozen=True)
class SubsetOf:
    """A question whose answer is a set of items, given as a list in the order of `items`.

    Args:
        name: Unique, such as `stage1.op3.inputs`.
        items: What can be chosen.
        minimum: Fewest items of an answer.
    """

    name: str
    items: tuple[str, ...]
    minimum: int = 1

    def __post_init__(self) -> None:
        if self.minimum > len(self.items):
            raise SpaceError(
                f"The choice '{self.name}' asks for {self.minimum} of {len(self.items)} items.",
                fix="Ask for fewer, or offer more items.",
            )

    @cached_property
    def members(self) -> int:
        """Number of subsets of at least `minimum` items."""
        size = len(self.items)
        return sum(comb(size, chosen) for chosen in range(self.minimum, size + 1))

    def ordered(self, chosen: Mapping[str, bool] | set[str] | list[str]) -> list[str]:
        """Return the chosen items in the order of `items`."""
        if isinstance(chosen, Mapping):
            return [item for item in self.items if chosen.get(item, False)]
        return [item for item in self.items if item in chosen]

    def repaired(self, chosen: set[str]) -> list[str]:
        """Return an answer near `chosen`: the last items are added until there are enough."""
        kept = set(chosen)
        for item in reversed(self.items):
            if len(kept & set(self.items)) >= self.minimum:
                break
            kept.add(item)
        return self.ordered(kept)

    def valid(self, answer: object) -> bool:
        """Tell whether `answer` is an ordered list of enough distinct items."""
        if not isinstance(answer, list) or len(answer) < self.minimum:
            return False
        return answer == [item for item in self.items if item in answer]

    def sample(self, rng: np.random.Generator) -> Answer:
        """Draw one of the subsets, each with the same probability."""
        while True:
            bits = rng.random(len(self.items)) < 0.5
            if int(bits.sum()) >= self.minimum:
                return [item for item, bit in zip(self.items, bits, strict=True) if bit]

    def default(self) -> Answer:
        """Return all items."""
        return list(self.items)

    def nearby(self, answer: Answer) -> Iterator[Answer]:
        """Yield the answers that differ in one item."""
        chosen = set(answer) if isinstance(answer, list) else set()
        for item in self.items:
            other = chosen ^ {item}
            if len(other) >= self.minimum:
                yield self.ordered(other)

    def describe(self) -> str:
        """Return the items in words."""
        return f"a list of at least {self.minimum} of {', '.join(self.items)}, in this order"


Choice: TypeAlias = OneOf | SubsetOf
Ask: TypeAlias = Callable[[Choice], Answer]


def count_members(choices: tuple[Choice, ...]) -> int:
    """Return the number of ways to answer independent choices."""
    return prod(choice.members for choice in choices)


def walk(choices: tuple[Choice, ...], ask: Ask) -> Decisions:
    """Ask every question that applies, in order, and collect the answers.

    Args:
        choices: The independent choices of a space.
        ask: Called once per question that applies; must return a valid answer.

    Raises:
        SpaceError: If an answer is not one of the options.
    """
    decisions: Decisions = {}
    _walk(choices, ask, decisions)
    return decisions


def _walk(choices: tuple[Choice, ...], ask: Ask, decisions: Decisions) -> None:
    for choice in choices:
        answer = ask(choice)
        if not choice.valid(answer):
            raise SpaceError(
                f"{answer!r} is no answer to '{choice.name}'.",
                where=choice.name,
                fix=f"Answer with {'one of ' if isinstance(choice, OneOf) else ''}"
                f"{choice.describe()}.",
            )
        decisions[choice.name] = answer
        if isinstance(choice, OneOf):
            option = choice.option(answer)
            assert option is not None
            _walk(option.choices, ask, decisions)


def asked(choices: tuple[Choice, ...], decisions: Mapping[str, Answer]) -> list[Choice]:
    """Return the questions that apply under `decisions`, in order of asking."""
    found: list[Choice] = []

    def ask(choice: Choice) -> Answer:
        found.append(choice)
        return decisions[choice.name]

    walk(choices, ask)
    return found


def all_names(choices: tuple[Choice, ...]) -> set[str]:
    """Return the name of every question that can ever be asked."""
    names: set[str] = set()
    for choice in choices:
        names.add(choice.name)
        if isinstance(choice, OneOf):
            for option in choice.options:
                names |= all_names(option.choices)
    return names


def normalise(choices: tuple[Choice, ...], decisions: Mapping[str, Answer]) -> Decisions:
    """Check decisions and drop the answers to questions that do not apply.

    Raises:
        SpaceError: If an answer is missing or invalid, or a name is no question of the space.
    """

    def ask(choice: Choice) -> Answer:
        if choice.name not in decisions:
            raise SpaceError(
                f"The choice '{choice.name}' is not answered.",
                fix=f"Answer with {choice.describe()}.",
            )
        return decisions[choice.name]

    # Listing every name of a large space takes longer than the walk: only where it can matter.
    try:
        answered = walk(choices, ask)
    except SpaceError:
        _refuse_unknown(choices, decisions)
        raise
    if len(answered) < len(decisions):
        _refuse_unknown(choices, decisions)
    return answered


def _refuse_unknown(choices: tuple[Choice, ...], decisions: Mapping[str, Answer]) -> None:
    known = all_names(choices)
    for name in decisions:
        if name not in known:
            near = suggest(name, sorted(known))
            raise SpaceError(
                f"The space has no choice '{name}'.",
                fix=f"Did you mean '{near}'?" if near else "'nas space describe' lists them.",
            )


def complete(choices: tuple[Choice, ...], decisions: Mapping[str, Answer], fill: Ask) -> Decisions:
    """Keep every answer that still fits and let `fill` answer the rest."""

    def ask(choice: Choice) -> Answer:
        answer = decisions.get(choice.name)
        return answer if answer is not None and choice.valid(answer) else fill(choice)

    return walk(choices, ask)


def sample(choices: tuple[Choice, ...], rng: np.random.Generator) -> Decisions:
    """Draw a member: every question that applies is answered uniformly."""
    return walk(choices, lambda choice: choice.sample(rng))


def enumerate_members(choices: tuple[Choice, ...]) -> Iterator[Decisions]:
    """Yield every member once, the first choice varying slowest."""
    if not choices:
        yield {}
        return
    first, rest = choices[0], choices[1:]
    for head in _answers(first):
        for tail in enumerate_members(rest):
            yield {**head, **tail}


def _answers(choice: Choice) -> Iterator[Decisions]:
    if isinstance(choice, SubsetOf):
        for size in range(choice.minimum, len(choice.items) + 1):
            for items in itertools.combinations(choice.items, size):
                yield {choice.name: list(items)}
        return
    for option in choice.options:
        for inner in enumerate_members(option.choices):
            yield {choice.name: option.value, **inner}


def default_answer(choice: Choice) -> Answer:
    """Answer with the first option, or with all items."""
    return choice.default()


def neighbours(
    choices: tuple[Choice, ...], decisions: Mapping[str, Answer], fill: Ask = default_answer
) -> Iterator[Decisions]:
    """Yield the members one changed answer away; `fill` answers the questions newly opened."""
    for choice in asked(choices, decisions):
        for answer in choice.nearby(decisions[choice.name]):
            changed = {**decisions, choice.name: answer}
            yield complete(choices, changed, fill)


def mutate(
    choices: tuple[Choice, ...], decisions: Mapping[str, Answer], rng: np.random.Generator
) -> Decisions:
    """Change one answer at random; questions newly opened are answered at random.

    A space of one member returns it unchanged.
    """
    open_choices = [choice for choice in asked(choices, decisions) if choice.members > 1]
    candidates = [
        (choice, answers)
        for choice in open_choices
        if (answers := list(choice.nearby(decisions[choice.name])))
    ]
    if not candidates:
        return dict(decisions)
    choice, answers = candidates[int(rng.integers(len(candidates)))]
    changed = {**decisions, choice.name: answers[int(rng.integers(len(answers)))]}
    return complete(choices, changed, lambda opened: opened.sample(rng))


def crossover(
    choices: tuple[Choice, ...],
    first: Mapping[str, Answer],
    second: Mapping[str, Answer],
    rng: np.random.Generator,
) -> Decisions:
    """Take each answer from either parent where it fits; independent choices are inherited whole.

    Questions below one top-level choice come from one parent, so that a stage's wiring is not torn.
    """
    child: Decisions = {}
    for choice in choices:
        parents = (first, second) if rng.random() < 0.5 else (second, first)

        def ask(question: Choice, parents: tuple[Mapping[str, Answer], ...] = parents) -> Answer:
            for parent in parents:
                answer = parent.get(question.name)
                if answer is not None and question.valid(answer):
                    return answer
            return question.sample(rng)

        child.update(walk((choice,), ask))
    return child


def cover(choices: tuple[Choice, ...]) -> list[Decisions]:
    """Return few members that together hold every option of every choice.

    Elastic choices are answered with their largest option, subsets with all items: what is left
    out is a slice or a part of what is there. Independent choices are covered side by side.
    """
    columns = [_cover_one(choice) for choice in choices]
    rows = max((len(column) for column in columns), default=1)
    covered: list[Decisions] = []
    for row in range(rows):
        merged: Decisions = {}
        for column in columns:
            merged.update(column[row % len(column)])
        covered.append(merged)
    return covered


def _cover_one(choice: Choice) -> list[Decisions]:
    if isinstance(choice, SubsetOf):
        return [{choice.name: list(choice.items)}]
    options = choice.options
    if choice.elastic:
        options = (max(options, key=lambda option: float(option.value)),)
    return [
        {choice.name: option.value, **inner}
        for option in options
        for inner in cover(option.choices)
    ]
