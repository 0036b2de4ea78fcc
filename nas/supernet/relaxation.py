"""Continuous parameters on a space's choices, and the way back to discrete members.

Every choice among merges or operations and every subset of edges has logits; a gate sampler
(`nas.supernet.gate_samplers`) makes gate values of them. Joint choices - pattern, depth, width -
have logits too but are sampled whole: mixing their alternatives node by node would evaluate
networks that are no members. Their logits learn from the score-function gradient (Williams 1992),
not from a straight-through factor on the stage's output: the next batch norm removes that factor,
so all but the last stage would get no gradient at all.

DARTS: Liu et al. 2019, arXiv:1806.09055.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from nas.errors import ConfigError
from nas.space import AbstractSpace, Choice, Decisions, OneOf, SubsetOf
from nas.space.choices import Answer
from nas.supernet.binding import role
from nas.supernet.declared_parts import PartDeclaration
from nas.supernet.fitting import every_choice
from nas.supernet.gate_places import Places, strength_keys, strength_name
from nas.supernet.gate_samplers import (
    AbstractGateSampler,
    GateInput,
    answers_of,
    is_on,
    make_sampler,
)
from nas.supernet.gate_samplers.softmax import Softmax
from nas.topology.operations import OPERATIONS

OperationMode = Literal["sampled", "mixed"]


@final
@dataclass(frozen=True)
class Context:
    """What was sampled whole for one step.

    Args:
        base: A member: the sampled answers, all items of every subset, and for mixed choices the
            first option that is no absent edge.
        sampled: The choices answered by sampling, with their answers.
        relaxed: The choices left continuous, in the order of asking.
        leaving_out: Names of those whose options of value 0 are not computed.
        closed: Per relaxed choice that has any, the answers that may not be given.
    """

    base: Decisions
    sampled: Mapping[str, Answer]
    relaxed: tuple[Choice, ...]
    leaving_out: frozenset[str] = frozenset()
    closed: Mapping[str, frozenset[Hashable]] = field(default_factory=dict)

    def running(self) -> Decisions:
        """Return the part of the base member that has to run: nothing of it is closed."""
        return self.base | {
            choice.name: _base_answer(choice, self.closed[choice.name])
            for choice in self.relaxed
            if choice.name in self.closed
        }


GateValues = Mapping[str, Tensor]
"""Per relaxed choice: one value per option (summing to 1) or per item."""


@final
class Relaxation(nn.Module):
    """Logits of all choices of a space.

    Args:
        space: The space.
        operations: `sampled` (one per node and step) or `mixed` (all of them run).
        options: Gate sampler of choices among merges and operations, as declared in a config.
        edges: Gate sampler of sets of edges.
        edge_strengths: Whether each edge that a choice governs has a strength beside its gate.

    Raises:
        ConfigError: If the mode is unknown, or a sampler does not fit its kind of choice.
        NotFoundError: If a sampler is unknown.
    """

    logits: nn.Parameter
    open: Tensor
    """Which answers may still be given; training rules close them."""

    def __init__(
        self,
        space: AbstractSpace,
        *,
        operations: OperationMode = "sampled",
        options: PartDeclaration = "softmax",
        edges: PartDeclaration = "sigmoid",
        edge_strengths: bool = False,
    ) -> None:
        super().__init__()
        if operations not in ("sampled", "mixed"):
            raise ConfigError(
                f"Unknown mode of operations '{operations}'.", fix="Known modes: sampled, mixed."
            )
        self.space = space
        self.operations = operations
        self.edge_strengths = edge_strengths
        self.temperature = 1.0
        self.exploration = 0.0
        self._joint = Softmax()
        self._options = make_sampler(options, "options")
        self._edges = make_sampler(edges, "edges")
        self._keys = Places()
        self._answers = Places()
        for choice in space.choices:
            self._register(choice)
        # One vector: choices come and go with the patterns, the optimiser's state does not.
        self.logits = nn.Parameter(torch.zeros(self._keys.size))
        self.register_buffer("open", torch.ones(self._answers.size, dtype=torch.bool))
        self._scale: Tensor | None = None
        self._indices: dict[tuple[int, ...], Tensor] = {}

    def _register(self, choice: Choice) -> None:
        self._keys.add(choice.name, self.sampler(choice).keys(choice))
        self._answers.add(choice.name, answers_of(choice))
        if self.edge_strengths:
            self._keys.add(strength_name(choice), strength_keys(choice))
        if isinstance(choice, OneOf):
            for option in choice.options:
                for inner in option.choices:
                    self._register(inner)

    def sampler(self, choice: Choice) -> AbstractGateSampler:
        """Return the gate sampler of a choice."""
        if isinstance(choice, SubsetOf):
            return self._edges
        return self._joint if role(choice) == "joint" else self._options

    def positions(self, choice: Choice) -> list[int]:
        """Return where the logits of a choice are, in the order of its sampler's keys."""
        return self._keys.find(choice.name, self.sampler(choice).keys(choice))

    def strength_positions(self, choice: Choice) -> list[int]:
        """Return where the strengths of the edges that a choice governs are; none without any."""
        if not self.edge_strengths:
            return []
        return self._keys.find(strength_name(choice), strength_keys(choice))

    def answer_positions(self, choice: Choice) -> list[int]:
        """Return where `open` holds the answers of a choice."""
        return self._answers.find(choice.name, answers_of(choice))

    def gate(self, choice: Choice, noise: torch.Generator | None = None) -> GateInput:
        """Return what the choice's sampler reads."""
        factors: Tensor | None = None
        if self.edge_strengths and isinstance(choice, SubsetOf):
            factors = self._taken(self.logits, self.strength_positions(choice)).exp()
        return GateInput(
            choice,
            self._taken(self.logits, self.positions(choice)),
            self._taken(self.open, self.answer_positions(choice)),
            self.temperature,
            noise,
            factors,
        )

    def _taken(self, values: Tensor, places: list[int]) -> Tensor:
        """Return some entries; places become a tensor once, on an accelerator that is a copy."""
        key = tuple(places)
        index = self._indices.get(key)
        if index is None or index.device != values.device:
            index = self._indices[key] = torch.tensor(places, device=values.device)
        return values.index_select(0, index)

    def is_sampled(self, choice: Choice) -> bool:
        """Tell whether a choice is answered whole."""
        kind = role(choice)
        return kind == "joint" or (kind == "operation" and self.operations == "sampled")

    def probabilities(self, choice: Choice) -> Tensor:
        """Return the probability of every option or item, without noise, differentiable."""
        return self.sampler(choice).probabilities(self.gate(choice))

    @torch.no_grad()
    def close(self, choice: Choice, answer: object) -> None:
        """Take an answer away for good: its gate is 0 from now on.

        Raises:
            ConfigError: If too few would be left.
        """
        places = self.answer_positions(choice)
        place = places[answers_of(choice).index(cast(Answer, answer))]
        left = int(self.open[places].sum()) - int(self.open[place])
        if left < (choice.minimum if isinstance(choice, SubsetOf) else 1):
            raise ConfigError(
                f"The answer {answer!r} to '{choice.name}' cannot be closed: {left} would be left.",
                fix="Leave at least one answer open, and of a set as many as it needs.",
            )
        self.open[place] = False

    @torch.no_grad()
    def reopen(self, choice: Choice, answer: object) -> None:
        """Give a closed answer back, with the logit it had."""
        self.open[self.answer_positions(choice)[answers_of(choice).index(cast(Answer, answer))]] = (
            True
        )

    def sample(self, rng: np.random.Generator) -> Context:
        """Draw the joint choices, and operations if they are sampled, from their probabilities."""
        with torch.no_grad():
            return self._context(lambda choice: self._drawn(choice, rng))

    def _drawn(self, choice: Choice, rng: np.random.Generator) -> Answer:
        if self.exploration and rng.random() < self.exploration:
            opened = torch.nonzero(self.gate(choice).open).flatten().tolist()
            return cast(Answer, answers_of(choice)[int(rng.choice(opened))])
        return self.sampler(choice).draw(self.gate(choice), rng)

    def context(self, decisions: Decisions) -> tuple[Context, GateValues]:
        """Return a member as a vertex: its context, and gate values of 0 and 1."""
        member = self.space.normalise(decisions)
        context = self._context(lambda choice: member[choice.name], whole=True)
        values = {
            choice.name: is_on(choice, member[choice.name]).to(self.logits)
            for choice in context.relaxed
        }
        return context, values | {
            name: torch.zeros_like(strengths)
            for name, strengths in self._strengths(context).items()
        }

    def _strengths(self, context: Context) -> dict[str, Tensor]:
        if not self.edge_strengths:
            return {}
        return {
            strength_name(choice): self._taken(self.logits, self.strength_positions(choice))
            for choice in context.relaxed
        }

    @torch.no_grad()
    def to_vertex(self, decisions: Decisions) -> None:
        """Set the logits so that a member's gates are 0 and 1."""
        member = self.space.normalise(decisions)
        for choice in self.space.asked(member):
            vertex = self.sampler(choice).vertex(choice, member[choice.name])
            self.logits[self.positions(choice)] = vertex.to(self.logits)
            self.logits[self.strength_positions(choice)] = 0.0

    @contextmanager
    def at(self, logits: Tensor) -> Iterator[None]:
        """Read other logits for a while, such as those of an earlier step."""
        own = self.logits.data
        self.logits.data = logits.to(own)
        try:
            yield
        finally:
            self.logits.data = own

    def likeliest(self) -> Context:
        """Return the context with the most probable answer to every joint question."""
        return self._context(lambda choice: self.sampler(choice).settle(self.gate(choice)))

    def _context(self, answer: Callable[[OneOf], Answer], *, whole: bool = False) -> Context:
        sampled: dict[str, Answer] = {}
        relaxed: list[Choice] = []

        def ask(choice: Choice) -> Answer:
            if isinstance(choice, OneOf) and self.is_sampled(choice):
                sampled[choice.name] = answer(choice)
                return sampled[choice.name]
            relaxed.append(choice)
            return _base_answer(choice)

        base = self.space.walk(ask)
        leaving_out = {choice.name for choice in relaxed if self.sampler(choice).leaves_out}
        closed = {} if whole else self._closed(relaxed)
        return Context(base, sampled, tuple(relaxed), frozenset(leaving_out), closed)

    def without_closing(self, context: Context) -> Context:
        """Return a context in which closed answers run too; their values stay 0."""
        return replace(context, closed={})

    def _closed(self, choices: list[Choice]) -> dict[str, frozenset[Hashable]]:
        if bool(self.open.all()):
            return {}
        flags = self.open.tolist()
        found = {}
        for choice in choices:
            places = zip(answers_of(choice), self.answer_positions(choice), strict=True)
            closed = frozenset(answer for answer, place in places if not flags[place])
            if closed:
                found[choice.name] = closed
        return found

    def values(self, context: Context, noise: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return the gate values of a context's relaxed choices, differentiable.

        Args:
            context: What was sampled whole.
            noise: Of samplers that are random; None for their values without noise.
        """
        gates = {}
        for choice in context.relaxed:
            drawn = self.sampler(choice).values(self.gate(choice, noise))
            gates[choice.name] = self._explored(choice, drawn)
        if self._scale is not None:
            for choice in context.relaxed:
                scale = self._scale[self.answer_positions(choice)].to(gates[choice.name])
                gates[choice.name] = gates[choice.name] * scale
        return gates | self._strengths(context)

    def scale_gates(self, scale: Tensor) -> None:
        """Multiply the values (not the probabilities) of all answers from now on, `(answers,)`."""
        self._scale = None if bool((scale == 1).all()) else scale

    def _explored(self, choice: Choice, gates: Tensor) -> Tensor:
        """Return gates mixed with equal ones of open answers, if that is asked for."""
        if not self.exploration:
            return gates
        equal = self.gate(choice).open.to(gates)
        if isinstance(choice, OneOf):
            equal = equal / equal.sum()
        return (1 - self.exploration) * gates + self.exploration * equal

    def log_probability(self, context: Context) -> Tensor:
        """Return the logarithm of the probability of what was sampled, differentiable."""
        total = self.logits.new_zeros(())
        for choice in self.space.asked(context.base):
            if choice.name in context.sampled:
                place = answers_of(choice).index(context.sampled[choice.name])
                p = self._explored(choice, self.probabilities(choice))
                total = total + p[place].clamp_min(1e-30).log()
        return total

    def touched(self, context: Context) -> Tensor:
        """Return which logits a context uses, as a mask."""
        mask = torch.zeros_like(self.logits, dtype=torch.bool)
        asked = (
            self.positions(choice) + self.strength_positions(choice)
            for choice in self.space.asked(context.base)
        )
        mask[list(itertools.chain.from_iterable(asked))] = True
        return mask

    def draw(self, context: Context, rng: np.random.Generator) -> Decisions:
        """Draw a member of a context: edges by their probabilities, one merge, one operation."""
        return self.settle(
            context, lambda choice: self.sampler(choice).draw(self.gate(choice), rng)
        )

    def discretise(self, context: Context) -> Decisions:
        """Return the preferred member of a context, as the gate samplers settle."""
        return self.settle(context, lambda choice: self.sampler(choice).settle(self.gate(choice)))

    def settle(self, context: Context, answer: Callable[[Choice], Answer]) -> Decisions:
        """Return the member of a context whose relaxed choices `answer` answers."""

        def ask(choice: Choice) -> Answer:
            given = context.sampled.get(choice.name)
            return answer(choice) if given is None else given

        with torch.no_grad():
            return self.space.walk(ask)

    def every_choice(self) -> Iterator[Choice]:
        """Yield every choice that can ever be asked, once per name."""
        yield from every_choice(self.space)


def _base_answer(choice: Choice, closed: frozenset[Hashable] = frozenset()) -> Answer:
    """Return all open items, or the first open option that is no absent edge."""
    if isinstance(choice, SubsetOf):
        return [item for item in choice.items if item not in closed]
    found = [option.value for option in choice.options if option.value not in closed]
    present = [
        value for value in found if not (value in OPERATIONS and OPERATIONS.get(str(value)).zero)
    ]
    return (present or found)[0]
