"""Networks of one size: a hand-made wiring swept in width and depth, and random members.

Sizes are multiply-adds of the whole network, head and adapters included. A wiring is compared
fairly only where its width and depth may follow the size, so every combination the space offers is
counted. Of those within the tolerance the most even one is taken, as a person would build it (the
same depth and the same step of width in all stages), and among equally even ones the nearest.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast, final

import numpy as np

from nas.cost.count import cost
from nas.errors import ConfigError, NasError
from nas.space import AbstractSpace, Decisions
from nas.space.base import question_of
from nas.space.choices import Answer, Choice, OneOf
from nas.topology.graph import Architecture

MOST_COMBINATIONS: Final = 4096
"""Combinations of widths and depths that are counted; beyond, all stages take the same step."""

MOST_DRAWS: Final = 20_000
"""Random members that are drawn to meet a size."""

_SWEPT: Final = ("width", "depth")


@final
@dataclass(frozen=True)
class MacsTarget:
    """A size in multiply-adds.

    Args:
        macs: The size.
        tolerance: How far off a network may be, relative to it.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of the classifier.
    """

    macs: int
    tolerance: float
    input_shape: tuple[int, int, int]
    num_classes: int

    def off(self, network: Architecture) -> float:
        """Return how much larger a network is than the target, relative to it; below 0 smaller."""
        return cost(network, self.input_shape, self.num_classes).macs / self.macs - 1

    def within(self, off: float) -> bool:
        """Tell whether `off` is within the tolerance."""
        return abs(off) <= self.tolerance


def known_wiring(space: AbstractSpace, name: str) -> Decisions:
    """Return a hand-made wiring of a space.

    Raises:
        ConfigError: If the space has none of that name; the message lists what there is.
    """
    known = space.known()
    if name not in known:
        raise ConfigError(
            f"The space '{space.name}' has no hand-made wiring '{name}'.",
            fix=f"It has: {', '.join(known) or 'none'}.",
        )
    return known[name]


def swept(space: AbstractSpace, decisions: Decisions, target: MacsTarget) -> Architecture:
    """Return the wiring in the width and depth that meet the target, or come nearest to it.

    Args:
        space: The space.
        decisions: The wiring in any width and depth.
        target: The size.
    """
    found: list[tuple[bool, float, float, int]] = []
    networks: list[Architecture] = []
    for steps, answers in _combinations(space, decisions):
        try:
            network = space.build(space.walk(partial(_answer, decisions, answers)))
            off = target.off(network)
        except NasError:
            continue  # a combination that the images are too small for
        outside = not target.within(off)
        # Outside the tolerance only the distance counts.
        found.append((outside, 0.0 if outside else _unevenness(steps), abs(off), len(networks)))
        networks.append(network)
    if not networks:
        return space.build(decisions)
    return networks[min(found)[3]]


def drawn(
    space: AbstractSpace, target: MacsTarget | None, rng: np.random.Generator
) -> Architecture:
    """Draw random members until one meets the target; the nearest one if none does.

    Members within the tolerance keep their probabilities relative to each other.
    """
    if target is None:
        return space.build(space.sample(rng))
    nearest: tuple[float, Architecture] | None = None
    for _ in range(MOST_DRAWS):
        try:
            network = space.build(space.sample(rng))
            off = target.off(network)
        except NasError:
            continue
        if target.within(off):
            return network
        if nearest is None or abs(off) < nearest[0]:
            nearest = (abs(off), network)
    if nearest is None:
        raise ConfigError(
            f"No random member of the space '{space.name}' can read these images.",
            fix="Use larger images, or a space with fewer strides.",
        )
    return nearest[1]


def _combinations(
    space: AbstractSpace, decisions: Decisions
) -> Iterator[tuple[Mapping[str, int], Mapping[str, Any]]]:
    """Yield step and answer of every open question of width and depth, by its name."""
    open_questions = [
        choice
        for choice in space.asked(decisions)
        if isinstance(choice, OneOf) and question_of(choice.name) in _SWEPT
    ]
    counts = [len(choice.options) for choice in open_questions]
    rows: Iterator[Sequence[int]]
    if np.prod(counts, dtype=np.float64) <= MOST_COMBINATIONS:
        rows = itertools.product(*(range(count) for count in counts))
    else:
        rows = _same_steps(open_questions)
    for row in rows:
        pairs = list(zip(open_questions, row, strict=True))
        yield (
            {choice.name: step for choice, step in pairs},
            {choice.name: choice.options[step].value for choice, step in pairs},
        )


def _same_steps(choices: list[OneOf]) -> Iterator[Sequence[int]]:
    """Yield rows in which all widths take one step and all depths another."""
    longest = dict.fromkeys(_SWEPT, 1)
    for each in choices:
        kind = question_of(each.name)
        longest[kind] = max(longest[kind], len(each.options))
    for width, depth in itertools.product(range(longest["width"]), range(longest["depth"])):
        steps = {"width": width, "depth": depth}
        yield [min(steps[question_of(each.name)], len(each.options) - 1) for each in choices]


def _unevenness(steps: Mapping[str, int]) -> float:
    """Return how far apart the steps of the stages are, widths and depths added."""
    total = 0
    for kind in _SWEPT:
        taken = [step for name, step in steps.items() if question_of(name) == kind]
        total += max(taken) - min(taken) if taken else 0
    return float(total)


def _answer(decisions: Decisions, answers: Mapping[str, Any], choice: Choice) -> Answer:
    """Answer as the wiring does; nodes that it lacks take what it says of their like."""
    given = answers.get(choice.name, decisions.get(choice.name))
    if given is not None and choice.valid(given):
        return cast(Answer, given)
    if isinstance(choice, OneOf):
        question = question_of(choice.name)
        like = Counter(
            str(answer) for name, answer in decisions.items() if question_of(name) == question
        )
        for value, _ in like.most_common():
            if choice.valid(value):
                return value
    return choice.default()
