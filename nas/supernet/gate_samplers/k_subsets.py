"""Softmax over the sets of k inputs of a node: what is searched has the in-degree of a member.

Where edges have gates of their own, a node is searched with all its inputs and cut to a few
afterwards. Here every term of the mixture is a node that keeps k of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, ClassVar, cast, final

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor

from nas.errors import ConfigError
from nas.registry import Paper
from nas.space import Choice, SubsetOf
from nas.space.choices import Answer
from nas.supernet.declared_parts import Misfit
from nas.supernet.gate_samplers import (
    CLOSED,
    GATE_SAMPLERS,
    VERTEX,
    AbstractGateSampler,
    GateInput,
    Kind,
    out_of_reach,
)

if TYPE_CHECKING:
    from nas.supernet.fitting import Fitting

MOST_SUBSETS = 1000
"""Subsets of one node, each with a logit."""


@final
class KSubsetsOptions(BaseModel, frozen=True, extra="forbid"):
    """How many edges a node keeps."""

    k: Annotated[int, Field(ge=1, le=64)] = 2
    """Inputs of a node; all of them where it has fewer, and never fewer than it needs."""


@final
@GATE_SAMPLERS.register("k_subsets", Paper("Gu et al.", 2021, arxiv="2010.04969"))
class KSubsets(AbstractGateSampler):
    """One logit per set of k edges; an edge's gate is the sum over the sets it is in, as DOTS.

    The gates of a node sum to k. The paper divides each set by its size, which the node's
    normalisation makes the same. Sets are drawn and settled whole. Where edges are closed, sets
    count by what is left of them, and only the largest of these.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"edges"})
    Options: ClassVar[type[BaseModel]] = KSubsetsOptions

    def degree(self, choice: Choice) -> int:
        """Return how many edges a set holds."""
        assert isinstance(choice, SubsetOf)
        return max(choice.minimum, min(int(self.options.k), len(choice.items)))

    def keys(self, choice: Choice) -> tuple[Hashable, ...]:
        """Return the sets of edges.

        Raises:
            ConfigError: If there are too many.
        """
        assert isinstance(choice, SubsetOf)
        degree = self.degree(choice)
        count = math.comb(len(choice.items), degree)
        if count > MOST_SUBSETS:
            raise ConfigError(
                f"The gate sampler 'k_subsets' needs a logit for each of {count:,} sets of {degree}"
                f" from {len(choice.items)} edges at '{choice.name}'; its limit is {MOST_SUBSETS}.",
                where="relaxation.gates.edges",
                fix="Lower its option k, or use 'sigmoid', which needs one logit per edge.",
            )
        return _subsets(choice.items, degree)

    def misfit(self, fitting: Fitting) -> Misfit | None:
        """Refuse spaces in which no node has more edges than it keeps."""
        sizes = [len(self.keys(choice)) for choice in fitting.subsets]
        if max(sizes, default=0) > 1:
            return None
        return Misfit(
            f"no node chooses from more than {self.options.k} edges, the number that it keeps",
            "Offer the pattern 'free' at a larger depth, or lower gates.edges.k.",
        )

    def _shares(self, gate: GateInput) -> tuple[Tensor, Tensor]:
        """Return the probability of every set, and which open edges it holds."""
        choice = cast(SubsetOf, gate.choice)
        degree = self.degree(choice)
        holds = _membership(choice.items, degree).to(gate.logits) * gate.open
        sizes = holds.sum(1)
        logits = torch.where(sizes == sizes.max(), gate.logits, CLOSED)
        return (logits / gate.temperature).softmax(0), holds

    def probabilities(self, gate: GateInput) -> Tensor:
        """Return, per edge, the probability of the sets that hold it."""
        shares, holds = self._shares(gate)
        return shares @ holds

    def draw(self, gate: GateInput, rng: np.random.Generator) -> Answer:
        """Draw a whole set."""
        shares, holds = self._shares(gate)
        p = shares.detach().double().cpu().numpy()
        return self._answer(gate, holds, int(rng.choice(len(p), p=p / p.sum())))

    def settle(self, gate: GateInput) -> Answer:
        """Return the likeliest set."""
        shares, holds = self._shares(gate)
        return self._answer(gate, holds, int(shares.detach().argmax()))

    def _answer(self, gate: GateInput, holds: Tensor, number: int) -> Answer:
        items = cast(SubsetOf, gate.choice).items
        return [item for item, held in zip(items, holds[number].tolist(), strict=True) if held]

    def reaches(self, choice: Choice, answer: Answer) -> bool:
        """Tell whether the answer is one of the sets."""
        return isinstance(answer, list) and len(answer) == self.degree(choice)

    def vertex(self, choice: Choice, answer: Answer) -> Tensor:
        """Return logits far apart."""
        if not self.reaches(choice, answer):
            raise out_of_reach("k_subsets", choice, answer, self.degree(choice))
        chosen = tuple(cast(list[str], answer))
        logits = [VERTEX * (subset == chosen) for subset in self.keys(choice)]
        return torch.tensor(logits, dtype=torch.float64)


@lru_cache(maxsize=4096)
def _subsets(items: tuple[str, ...], size: int) -> tuple[tuple[str, ...], ...]:
    return tuple(itertools.combinations(items, size))


@lru_cache(maxsize=4096)
def _membership(items: tuple[str, ...], size: int) -> Tensor:
    rows = [[float(item in subset) for item in items] for subset in _subsets(items, size)]
    return torch.tensor(rows, dtype=torch.float64)
