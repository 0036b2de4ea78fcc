"""Terms of an expected cost: sums of what pieces cost times how likely they run.

A term reads one vector of gates, how far every relaxed answer is there, with the constants 0 and 1
behind them, and gives expected parameters, MACs, bytes and milliseconds, `(4,)` in float64. At
gates of 0 and 1 it is exact. In between, edges count as independent of one another, and a node as
alive as far as the input reaches it and something alive reads it: `1 - prod(1 - p)`.

The merge of a node costs from two live inputs on, `E[n; n >= 2] = sum q - P(n = 1)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

import torch
from torch import Tensor

from nas.cost.count import BYTES

COLUMNS: Final = ("parameters", "macs", "bytes", "latency_ms")
"""What each entry of a vector of costs is."""


@final
@dataclass(frozen=True)
class Mixed:
    """Costs that depend on which option is chosen: `sum_k g_k c_k`.

    Args:
        positions: Of the options' probabilities.
        costs: Of the options, `(options, 4)`.
    """

    positions: Tensor
    costs: Tensor

    def expected(self, gates: Tensor) -> Tensor:
        """Return the expected costs, `(4,)`."""
        return gates[self.positions] @ self.costs


@final
@dataclass(frozen=True)
class EdgeTerm:
    """An edge: where it comes from, which gate it has, what it costs where it is on."""

    source: int
    gate: int
    absent: bool
    """Whether the gate is the probability that the edge is *not* there."""
    cost: Tensor | Mixed


@final
@dataclass(frozen=True)
class NodeTerm:
    """A node: what it computes, its inputs, and its merge once and per input.

    `gated` tells whether any of its edges has a gate at all, `supplied` whether one of them is on
    for certain.
    """

    computed: Tensor | Mixed | Level
    edges: tuple[EdgeTerm, ...]
    once: Mixed
    each: Mixed
    tie: str | None
    gated: bool
    supplied: bool
    shared: Tensor | Mixed | None = None
    """What all nodes of its tie pay once; None for its weights alone."""

    @cached_property
    def sources(self) -> list[int]:
        """Numbers of the nodes it reads."""
        return [edge.source for edge in self.edges]

    @cached_property
    def positions(self) -> Tensor:
        """Position of every edge's gate, `(edges,)`."""
        return torch.tensor([edge.gate for edge in self.edges], dtype=torch.int64)

    @cached_property
    def absent(self) -> Tensor:
        """Whether every gate means the edge's absence, `(edges,)`."""
        return torch.tensor([edge.absent for edge in self.edges], dtype=torch.bool)

    @cached_property
    def costs(self) -> Tensor:
        """Costs of the edges, 0 for those whose operations are mixed, `(edges, 4)`."""
        nothing = torch.zeros(len(COLUMNS), dtype=torch.float64)
        rows = [edge.cost if isinstance(edge.cost, Tensor) else nothing for edge in self.edges]
        return torch.stack(rows) if rows else nothing.expand(0, -1)

    def presences(self, gates: Tensor) -> Tensor | None:
        """Return how far each edge is there, `(edges,)`; None where all are for certain."""
        if not self.gated:
            return None
        values = gates[self.positions]
        return torch.where(self.absent, 1 - values, values)

    def arrival(self, gates: Tensor, on: Tensor | None, reached: Shares) -> Tensor:
        """Return the costs of the adapters and of the merge, `(4,)`."""
        sources = [reached[source] for source in self.sources]
        arriving = _product_of(on, sources, gates)
        if arriving is None:
            arriving = gates.new_ones(len(self.edges))
            total, single = self.costs.sum(0), gates.new_zeros(())
            several = gates.new_ones(())
        else:
            total, single = arriving @ self.costs, _exactly_one(arriving)
            several = 1 - (1 - arriving).prod() - single
        for edge, source in zip(self.edges, sources, strict=True):
            if isinstance(edge.cost, Mixed):  # its probabilities hold the edge's presence
                total = total + _times(source, edge.cost.expected(gates))
        if len(self.edges) < 2:
            return total
        inputs = arriving.sum() - single
        return total + several * self.once.expected(gates) + inputs * self.each.expected(gates)


Shares = list[Tensor | None]
"""A probability per node, None for certainty: most nodes of most members are certain."""


@final
@dataclass(frozen=True)
class Level:
    """The nodes of one graph; where zeros are allowed every node runs, read or not."""

    nodes: tuple[NodeTerm, ...]
    zero_allowed: bool

    def expected(self, gates: Tensor) -> Tensor:
        """Return the expected costs of all nodes, `(4,)`."""
        on = [node.presences(gates) for node in self.nodes]
        reached, read = self._reached(on, gates), self._read(on)
        total = gates.new_zeros(len(COLUMNS))
        tied: dict[str, list[tuple[Tensor | None, Tensor]]] = {}
        for index, node in enumerate(self.nodes):
            computed = _expected(node.computed, gates)
            share = _both(reached[index], read[index])
            if node.tie is not None:
                weights = (
                    _weights_only(computed)
                    if node.shared is None
                    else _expected(node.shared, gates)
                )
                computed = computed - weights
                tied.setdefault(node.tie, []).append((share, weights))
            total = total + _times(share, computed)
            if node.edges:
                total = total + _times(read[index], node.arrival(gates, on[index], reached))
        for members in tied.values():
            total = total + _times(_any([share for share, _ in members]), members[0][1])
        return total

    def _reached(self, on: Shares, gates: Tensor) -> Shares:
        """Return how far the input reaches each node."""
        found: Shares = [None]
        for node, presences in zip(self.nodes[1:], on[1:], strict=True):
            if self.zero_allowed:
                found.append(None)
                continue
            sources = [found[source] for source in node.sources]
            arriving = _product_of(presences, sources, gates)
            if node.supplied and all(source is None for source in sources):
                arriving = None
            found.append(None if arriving is None else 1 - (1 - arriving).prod())
        return found

    def _read(self, on: Shares) -> Shares:
        """Return how far each node reaches the output."""
        found: Shares = [None] * len(self.nodes)
        if self.zero_allowed:
            return found
        readers: list[Shares] = [[] for _ in self.nodes]
        for index in range(len(self.nodes) - 1, -1, -1):
            if index < len(self.nodes) - 1:
                found[index] = _any(readers[index])
            presences = on[index]
            for number, source in enumerate(self.nodes[index].sources):
                gate = None if presences is None else presences[number]
                readers[source].append(_both(gate, found[index]))
        return found


@final
@dataclass(frozen=True)
class Terms:
    """The expected costs of a context as a function of its gates."""

    level: Level
    head: Tensor

    def expected(self, gates: Tensor) -> Tensor:
        """Return the costs at presences of all relaxed answers, with 0 and 1 behind them."""
        return self.level.expected(gates) + self.head


def _expected(cost: Tensor | Mixed | Level, gates: Tensor) -> Tensor:
    return cost if isinstance(cost, Tensor) else cost.expected(gates)


def _times(share: Tensor | None, cost: Tensor) -> Tensor:
    return cost if share is None else share * cost


def _both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first * second


def _any(shares: Shares) -> Tensor | None:
    """Return the probability that one of independent events happens."""
    known = [share for share in shares if share is not None]
    if len(known) < len(shares):
        return None
    return 1 - (1 - torch.stack(known)).prod()


def _product_of(on: Tensor | None, sources: Shares, gates: Tensor) -> Tensor | None:
    """Return how far each input arrives: its edge is on and its source is reached."""
    if all(source is None for source in sources):
        return on
    one = gates.new_ones(())
    reached = torch.stack([one if source is None else source for source in sources])
    return reached if on is None else on * reached


def _exactly_one(arriving: Tensor) -> Tensor:
    """Return the probability that exactly one of independent edges is on."""
    others = (1 - arriving).expand(len(arriving), -1)
    one_left_out = others.where(~torch.eye(len(arriving), dtype=torch.bool), others.new_ones(()))
    return (arriving * one_left_out.prod(-1)).sum()


def _weights_only(costs: Tensor) -> Tensor:
    parameters = costs[0]
    zero = torch.zeros_like(parameters)
    return torch.stack([parameters, zero, BYTES * parameters, zero])
