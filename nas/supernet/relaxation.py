"""Continuous parameters on a space's choices, and the way back to discrete members.

One number per option of a choice among merges or operations (softmax), one per item of a subset
(sigmoid: the probability that the edge is on). Joint choices - pattern, depth, width - have logits
too but are sampled whole: mixing their alternatives node by node would evaluate networks that are
no members. Their logits learn from the score-function gradient (Williams 1992), not from a
straight-through factor on the stage's output: the next batch norm removes that factor, so all but
the last stage would get no gradient at all.

DARTS: Liu et al. 2019, arXiv:1806.09055.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from nas.errors import ConfigError
from nas.space import AbstractSpace, Choice, Decisions, OneOf, SubsetOf
from nas.space.choices import Answer
from nas.supernet.binding import role
from nas.supernet.gates import normalised
from nas.topology.operations import OPERATIONS

OperationMode = Literal["sampled", "mixed"]
EDGE_THRESHOLD = 0.5
"""Normalised gate from which an edge is kept; 1 is an edge as strong as its neighbours."""


@final
@dataclass(frozen=True)
class Context:
    """What was sampled whole for one step.

    Args:
        base: A member: the sampled answers, all items of every subset, and for mixed choices the
            first option that is no absent edge.
        sampled: The choices answered by sampling, with their answers.
        relaxed: The choices left continuous, in the order of asking.
    """

    base: Decisions
    sampled: Mapping[str, Answer]
    relaxed: tuple[Choice, ...]


GateValues = Mapping[str, Tensor]
"""Per relaxed choice: option probabilities summing to 1, or item probabilities."""


@final
class Relaxation(nn.Module):
    """Logits of all choices of a space.

    Args:
        space: The space.
        operations: `sampled` (one per node and step) or `mixed` (all of them run).

    Raises:
        ConfigError: If the mode is unknown.
    """

    def __init__(self, space: AbstractSpace, *, operations: OperationMode = "sampled") -> None:
        super().__init__()
        if operations not in ("sampled", "mixed"):
            raise ConfigError(
                f"Unknown mode of operations '{operations}'.", fix="Known modes: sampled, mixed."
            )
        self.space = space
        self.operations = operations
        self._places: dict[str, dict[object, int]] = {}
        for choice in space.choices:
            self._register(choice)
        size = sum(len(places) for places in self._places.values())
        # One vector: choices come and go with the patterns, the optimiser's state does not.
        self.logits = nn.Parameter(torch.zeros(size))

    def _register(self, choice: Choice) -> None:
        places = self._places.setdefault(choice.name, {})
        start = sum(len(known) for known in self._places.values())
        answers: list[object] = list(choice.items) if isinstance(choice, SubsetOf) else []
        if isinstance(choice, OneOf):
            answers = [option.value for option in choice.options]
        for answer in answers:
            if answer not in places:
                places[answer] = start
                start += 1
        if isinstance(choice, OneOf):
            for option in choice.options:
                for inner in option.choices:
                    self._register(inner)

    def positions(self, choice: Choice) -> list[int]:
        """Return where the logits of a choice's options or items are."""
        places = self._places[choice.name]
        if isinstance(choice, SubsetOf):
            return [places[item] for item in choice.items]
        return [places[option.value] for option in choice.options]

    def is_sampled(self, choice: Choice) -> bool:
        """Tell whether a choice is answered whole."""
        kind = role(choice)
        return kind == "joint" or (kind == "operation" and self.operations == "sampled")

    def probabilities(self, choice: Choice) -> Tensor:
        """Return option probabilities (softmax) or item probabilities (sigmoid)."""
        logits = self.logits[self.positions(choice)]
        return logits.sigmoid() if isinstance(choice, SubsetOf) else logits.softmax(0)

    def sample(self, rng: np.random.Generator) -> Context:
        """Draw the joint choices, and operations if they are sampled, from their probabilities."""
        numbers = self.logits.detach().double().cpu().numpy()

        def draw(choice: OneOf) -> Answer:
            logits = numbers[self.positions(choice)]
            bounds = np.cumsum(np.exp(logits - logits.max()))
            drawn = int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))
            return choice.options[min(drawn, len(choice.options) - 1)].value

        return self._context(draw)

    def context(self, decisions: Decisions) -> tuple[Context, GateValues]:
        """Return a member as a vertex: its context, and gate values of 0 and 1."""
        member = self.space.normalise(decisions)
        context = self._context(lambda choice: member[choice.name])
        values = {
            choice.name: _vertex(choice, member[choice.name]).to(self.logits)
            for choice in context.relaxed
        }
        return context, values

    def likeliest(self) -> Context:
        """Return the context with the most probable answer to every joint question."""

        def best(choice: OneOf) -> Answer:
            return choice.options[int(self.probabilities(choice).argmax())].value

        return self._context(best)

    def _context(self, answer: Callable[[OneOf], Answer]) -> Context:
        sampled: dict[str, Answer] = {}
        relaxed: list[Choice] = []

        def ask(choice: Choice) -> Answer:
            if isinstance(choice, OneOf) and self.is_sampled(choice):
                sampled[choice.name] = answer(choice)
                return sampled[choice.name]
            relaxed.append(choice)
            return _base_answer(choice)

        base = self.space.walk(ask)
        return Context(base, sampled, tuple(relaxed))

    def values(self, context: Context) -> dict[str, Tensor]:
        """Return the gate values of a context's relaxed choices, differentiable."""
        if not context.relaxed:
            return {}
        positions = [self.positions(choice) for choice in context.relaxed]
        logits = self.logits[list(itertools.chain.from_iterable(positions))]
        parts = torch.split(logits, [len(entry) for entry in positions])
        return {
            choice.name: part.sigmoid() if isinstance(choice, SubsetOf) else part.softmax(0)
            for choice, part in zip(context.relaxed, parts, strict=True)
        }

    def log_probability(self, context: Context) -> Tensor:
        """Return the logarithm of the probability of what was sampled, differentiable."""
        total = self.logits.new_zeros(())
        for choice in self.space.asked(context.base):
            if choice.name in context.sampled and isinstance(choice, OneOf):
                logits = self.logits[self.positions(choice)].log_softmax(0)
                answer = context.sampled[choice.name]
                values: list[object] = [option.value for option in choice.options]
                total = total + logits[values.index(answer)]
        return total

    def touched(self, context: Context) -> Tensor:
        """Return which logits a context uses, as a mask."""
        mask = torch.zeros_like(self.logits, dtype=torch.bool)
        asked = (self.positions(choice) for choice in self.space.asked(context.base))
        mask[list(itertools.chain.from_iterable(asked))] = True
        return mask

    def draw(self, context: Context, rng: np.random.Generator) -> Decisions:
        """Draw a member of a context: edges by their probabilities, one merge, one operation."""
        return self._settle(context, rng)

    def discretise(self, context: Context) -> Decisions:
        """Return the preferred member of a context.

        Options by the largest probability; edges whose normalised gate is at least one half, and
        at least as many as the choice asks for.
        """
        return self._settle(context, None)

    def _settle(self, context: Context, rng: np.random.Generator | None) -> Decisions:
        def ask(choice: Choice) -> Answer:
            if choice.name in context.sampled:
                return context.sampled[choice.name]
            shares = self.probabilities(choice).detach().double().cpu()
            if isinstance(choice, SubsetOf):
                return _settle_subset(choice, shares, rng)
            if rng is None:
                return choice.options[int(shares.argmax())].value
            numbers = shares.numpy()
            return choice.options[int(rng.choice(len(numbers), p=numbers / numbers.sum()))].value

        return self.space.walk(ask)

    def preferred(self, count: int, rng: np.random.Generator) -> list[Decisions]:
        """Return the most probable members, discretised, best first.

        The first has the most probable answer to every joint question; the others come from the
        most probable of many sampled contexts.

        Args:
            count: How many; fewer come back if the space does not hold that many.
            rng: Draws the contexts.
        """
        contexts = [self.likeliest(), *(self.sample(rng) for _ in range(16 * count))]
        with torch.no_grad():
            ranked = sorted(contexts[1:], key=lambda context: -float(self.log_probability(context)))
        found: list[Decisions] = []
        for context in (contexts[0], *ranked):
            member = self.discretise(context)
            if member not in found:
                found.append(member)
            if len(found) == count:
                break
        return found

    def every_choice(self) -> Iterator[Choice]:
        """Yield every choice that can ever be asked, once per name."""
        seen: set[str] = set()
        open_choices: list[Choice] = list(self.space.choices)
        while open_choices:
            choice = open_choices.pop(0)
            if choice.name not in seen:
                seen.add(choice.name)
                yield choice
            if isinstance(choice, OneOf):
                inner = (option.choices for option in choice.options)
                open_choices.extend(itertools.chain.from_iterable(inner))


def _base_answer(choice: Choice) -> Answer:
    if isinstance(choice, SubsetOf):
        return list(choice.items)
    for option in choice.options:
        if not (option.value in OPERATIONS and OPERATIONS.get(str(option.value)).zero):
            return option.value
    return choice.options[0].value


def _vertex(choice: Choice, answer: object) -> Tensor:
    if isinstance(choice, SubsetOf):
        chosen = cast(list[str], answer)
        return torch.tensor([float(item in chosen) for item in choice.items], dtype=torch.float64)
    return torch.tensor(
        [float(option.value == answer) for option in choice.options], dtype=torch.float64
    )


def _settle_subset(choice: SubsetOf, shares: Tensor, rng: np.random.Generator | None) -> list[str]:
    if rng is None:
        # A subset that may be empty stands beside an edge that is always on.
        fixed = shares.new_ones(0 if choice.minimum else 1)
        gates = normalised(torch.cat([shares, fixed]))[: len(shares)]
        chosen = (gates >= EDGE_THRESHOLD).tolist()
    else:
        chosen = (rng.random(len(shares)) < shares.numpy()).tolist()
    order = sorted(range(len(choice.items)), key=lambda index: -float(shares[index]))
    for index in order:
        if sum(chosen) >= choice.minimum:
            break
        chosen[index] = True
    return [item for item, on in zip(choice.items, chosen, strict=True) if on]
