"""Gate samplers: how the logits of one choice become the values of its gates; one file each.

A sampler sees one choice at a time and knows nothing of graphs. It tells apart *values* (what a
training step multiplies with, differentiable, noisy where the method is) and *probabilities* (how
likely each answer is, without noise: what is reported, thresholded, drawn from and charged for
resources). At a vertex both are exactly 0 and 1.
"""

from __future__ import annotations

import abc
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast, final

import numpy as np
import torch
from torch import Tensor

from nas.errors import ConfigError
from nas.registry import Registry
from nas.space import Choice, OneOf, SubsetOf
from nas.space.choices import Answer
from nas.supernet.declared_parts import AbstractPart, PartDeclaration, make_part
from nas.supernet.gates import normalised

Kind = Literal["options", "edges"]
EDGE_THRESHOLD = 0.5
"""Normalised gate from which an edge is kept; 1 is an edge as strong as its neighbours."""
VERTEX = 800.0
"""Logit of a sigmoid, and distance of logits of a softmax, that give exactly 0 or 1 in float64,
whatever the noise."""
CLOSED = -1e9
"""Logit of an answer that is closed: its softmax and its sigmoid are exactly 0."""


@final
@dataclass(frozen=True, eq=False)
class GateInput:
    """What a sampler reads of one choice.

    Args:
        choice: The choice.
        logits: One number per key of the sampler, `(keys,)`.
        open: Which answers may still be given, `(answers,)`, bool.
        temperature: Of annealed samplers; 1 is plain.
        noise: Where random numbers come from; None for values without noise.
        factors: Of the edges of a set, where they have strengths beside their gates, `(items,)`;
            1 is as strong as an edge without. Of a settled set, not of its values.
    """

    choice: Choice
    logits: Tensor
    open: Tensor
    temperature: float = 1.0
    noise: torch.Generator | None = None
    factors: Tensor | None = None

    @property
    def masked(self) -> Tensor:
        """The logits with closed answers at `CLOSED`, for samplers with one logit per answer."""
        return torch.where(self.open, self.logits, CLOSED)

    def uniform(self) -> Tensor:
        """Return one draw from the open interval (0, 1) per logit; a half each without noise."""
        if self.noise is None:
            return torch.full_like(self.logits, 0.5)
        like = {"dtype": self.logits.dtype, "device": self.logits.device}
        drawn = torch.rand(self.logits.shape, generator=self.noise, **like)  # type: ignore[call-overload]
        edge = torch.finfo(self.logits.dtype).eps
        return cast(Tensor, drawn.clamp(edge, 1 - edge))


class AbstractGateSampler(AbstractPart):
    """From logits to gate values."""

    kinds: ClassVar[frozenset[Kind]]
    """Whether it answers choices among options (probabilities sum to 1), sets of edges, or both."""
    leaves_out: ClassVar[bool] = False
    """Whether a step computes no option whose value is exactly 0. Such an option's output counts as
    0 in the backward pass too, so only what ran contributes to the gradient of the gates."""

    def keys(self, choice: Choice) -> tuple[Hashable, ...]:
        """Return what each logit stands for; by default one per answer."""
        return answers_of(choice)

    @abc.abstractmethod
    def probabilities(self, gate: GateInput) -> Tensor:
        """Return how likely each answer is, without noise, differentiable, `(answers,)`.

        Options sum to 1; each edge has a probability of its own. Closed answers have 0.
        """

    def values(self, gate: GateInput) -> Tensor:
        """Return what a step multiplies with, differentiable, `(answers,)`.

        Without `gate.noise` the result is deterministic.
        """
        return self.probabilities(gate)

    def surrogate(self, gate: GateInput) -> Tensor:
        """Return the function whose derivative `values` has, `(answers,)`.

        The values themselves, but for samplers that round in the forward pass and pass gradients
        straight through (Bengio et al. 2013, arXiv:1308.3432).
        """
        return self.values(gate)

    def reaches(self, choice: Choice, answer: Answer) -> bool:
        """Tell whether an answer is a vertex; samplers of a fixed in-degree reach some only."""
        return True

    @abc.abstractmethod
    def vertex(self, choice: Choice, answer: Answer) -> Tensor:
        """Return logits in float64, `(keys,)`, at which probabilities and values are 0 and 1.

        Raises:
            ConfigError: If the sampler does not reach the answer.
        """

    def draw(self, gate: GateInput, rng: np.random.Generator) -> Answer:
        """Draw an answer by its probability; edges independently of one another."""
        shares = _numbers(self.probabilities(gate))
        if isinstance(gate.choice, OneOf):
            options = gate.choice.options
            return options[int(rng.choice(len(options), p=shares / shares.sum()))].value
        return enough(gate.choice, rng.random(len(shares)) < shares, shares)

    def settle(self, gate: GateInput) -> Answer:
        """Return the preferred answer.

        The likeliest option; edges whose normalised gate is at least one half, and at least as
        many as the choice asks for.
        """
        shares = self.probabilities(gate).detach().double().cpu()
        if isinstance(gate.choice, OneOf):
            return gate.choice.options[int(shares.argmax())].value
        if gate.factors is not None:
            shares = shares * gate.factors.detach().double().cpu()
        # A subset that may be empty stands beside an edge that is always on.
        fixed = shares.new_ones(0 if gate.choice.minimum else 1)
        gates = normalised(torch.cat([shares, fixed]))[: len(shares)]
        return enough(gate.choice, (gates >= EDGE_THRESHOLD).numpy(), shares.numpy())


GATE_SAMPLERS: Registry[type[AbstractGateSampler]] = Registry("gate sampler", __name__)


def make_sampler(declared: PartDeclaration, kind: Kind) -> AbstractGateSampler:
    """Return the gate sampler that a config declares for one kind of choice.

    Raises:
        ConfigError: If it does not answer this kind.
        NotFoundError: If it is unknown.
    """
    where = f"relaxation.gates.{kind}"
    sampler = make_part(GATE_SAMPLERS, declared, where)
    if kind not in sampler.kinds:
        fitting = [name for name in GATE_SAMPLERS if kind in GATE_SAMPLERS.get(name).kinds]
        name = declared if isinstance(declared, str) else declared["name"]
        raise ConfigError(
            f"The gate sampler '{name}' does not answer choices of {kind}.",
            where=where,
            fix=f"Those that do: {', '.join(fitting)}.",
        )
    return sampler


def answers_of(choice: Choice) -> tuple[Hashable, ...]:
    """Return the options' values, or the items of a subset."""
    if isinstance(choice, SubsetOf):
        return choice.items
    return tuple(option.value for option in choice.options)


def is_on(choice: Choice, answer: Answer) -> Tensor:
    """Return an answer as zeros and ones in float64, `(answers,)`."""
    given = answer if isinstance(answer, list) else [answer]
    return torch.tensor(
        [float(known in given) for known in answers_of(choice)], dtype=torch.float64
    )


def enough(choice: SubsetOf, chosen: Any, shares: Any) -> list[str]:
    """Return the chosen items, with the likeliest of the others until there are enough."""
    on = [bool(flag) for flag in chosen]
    order = sorted(range(len(on)), key=lambda index: -float(shares[index]))
    for index in order:
        if sum(on) >= choice.minimum:
            break
        on[index] = True
    return [item for item, flag in zip(choice.items, on, strict=True) if flag]


def straight_through(hard: Tensor, surrogate: Tensor) -> Tensor:
    """Return `hard` exactly, with the gradient of `surrogate`."""
    return hard.detach() + (surrogate - surrogate.detach())


def out_of_reach(name: str, choice: Choice, answer: Answer, limit: int) -> ConfigError:
    """Build the error for an answer with more edges than a sampler keeps."""
    count = len(answer) if isinstance(answer, list) else 1
    return ConfigError(
        f"The gate sampler '{name}' has no vertex for {count} edges at '{choice.name}': it keeps "
        f"{limit}.",
        fix="Raise its option, or use 'sigmoid', which reaches every set of edges.",
    )


def _numbers(tensor: Tensor) -> Any:
    return cast(Any, tensor.detach().double().cpu().numpy())
