"""How large the members of a space are: multiply-adds, and the members at both ends."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import final

import numpy as np

from nas.cost.count import Cost, cost
from nas.seeds import derive_seed
from nas.space import AbstractSpace, Choice, Decisions, OneOf, SubsetOf
from nas.space.choices import Answer, complete
from nas.topology.layers import Shape


@final
class MemberSizes:
    """Sizes of a space's members at one input.

    Args:
        space: The space.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of the classifier.
    """

    def __init__(self, space: AbstractSpace, input_shape: Shape, num_classes: int) -> None:
        self.space = space
        self.input_shape = input_shape
        self.num_classes = num_classes

    def cost(self, decisions: Mapping[str, Answer]) -> Cost:
        """Return parameters and multiply-adds of a member."""
        return cost(self.space.build(decisions), self.input_shape, self.num_classes)

    def macs(self, decisions: Mapping[str, Answer]) -> int:
        """Return the multiply-adds of one image."""
        return self.cost(decisions).macs

    @cached_property
    def largest(self) -> Decisions:
        """The member with the most multiply-adds, with all edges of its wiring."""
        return self.space.reference(self.input_shape)

    @cached_property
    def smallest(self) -> Decisions:
        """A member with the fewest multiply-adds, found one answer at a time.

        Among equals the one with more edges: an edge that costs nothing is no reason to tear a
        network apart.
        """
        best = self.space.walk(_least)
        while True:
            found = self._improved(best)
            if found == best:
                return best
            best = found

    def _improved(self, best: Decisions) -> Decisions:
        least = self._weight(best)
        for choice in self.space.asked(best):
            if choice.name not in best:
                continue  # an earlier change closed it
            for answer in list(choice.nearby(best[choice.name])):
                other = complete(self.space.choices, {**best, choice.name: answer}, _least)
                weight = self._weight(other)
                if weight < least:
                    best, least = other, weight
        return best

    def _weight(self, decisions: Decisions) -> tuple[int, int]:
        architecture = self.space.build(decisions)
        macs = cost(architecture, self.input_shape, self.num_classes).macs
        inside = sum(len(node.cell.edges) for node in architecture.nodes if node.cell is not None)
        return macs, -len(architecture.edges) - inside

    def bins(self, count: int, seed: int, draws: int = 128) -> list[int]:
        """Return the bounds between `count` bins of multiply-adds that hold equally many members.

        Bounds that fall together are one, so there may be fewer bins.
        """
        rng = np.random.default_rng(derive_seed(seed, "sizes of members", 0))
        macs = sorted(self.macs(self.space.sample(rng)) for _ in range(draws))
        bounds = {macs[len(macs) * number // count] for number in range(1, count)}
        return sorted(bound for bound in bounds if bound > macs[0])


def bin_of(macs: int, bounds: list[int]) -> int:
    """Return the number of the bin that holds `macs`."""
    return int(np.searchsorted(bounds, macs, side="right"))


def _least(choice: Choice) -> Answer:
    if isinstance(choice, SubsetOf):
        return list(choice.items[: choice.minimum])  # the oldest: they go round what lies between
    values = [option.value for option in choice.options]
    return min(values) if is_size(choice) else values[0]


def is_size(choice: Choice) -> bool:
    """Tell whether a choice asks for a number, such as a depth or a width."""
    return isinstance(choice, OneOf) and all(
        isinstance(option.value, (int, float)) and not isinstance(option.value, bool)
        for option in choice.options
    )


def is_open(choice: Choice) -> bool:
    """Tell whether a choice has more than one answer of its own, whatever these open."""
    return choice.members > 1 if isinstance(choice, SubsetOf) else len(choice.options) > 1


def every_question(space: AbstractSpace) -> list[Choice]:
    """Return each question that can ever be asked, those that others open included.

    Questions of one name that offer different things, as under two patterns, are all there.
    """
    found: dict[int, Choice] = {}
    pending = list(space.choices)
    while pending:
        choice = pending.pop()
        if id(choice) not in found:  # comparing contents would walk whole subtrees
            found[id(choice)] = choice
            if isinstance(choice, OneOf):
                pending.extend(inner for option in choice.options for inner in option.choices)
    return list(found.values())
