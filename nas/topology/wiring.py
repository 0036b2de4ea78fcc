"""Writing a topology down node by node, and laying one topology into another.

Patterns that fix more than edges, and patterns around patterns, are built with `Wiring`. The inner
pattern's merges stay open to a space where they can: a merge is fixed on a node only where it
differs from the whole topology's.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import gcd
from typing import Any, final

from nas.errors import TopologyError
from nas.topology.facts import EdgePair, Link, NodeRule
from nas.topology.graph import MAX_NODES, Topology
from nas.topology.operations import OPERATIONS

Source = int | tuple[int, Link]
"""A node, or a node and what its edge does."""


@final
class Wiring:
    """Nodes and edges of a topology under construction; node 0 is the input."""

    def __init__(self) -> None:
        self._rules: list[NodeRule] = [NodeRule()]
        self._joins: set[int] = set()
        self._links: dict[EdgePair, Link] = {}
        self._optional: set[EdgePair] = set()
        self._embedded = 0

    def operation(self, *sources: Source, **rule: Any) -> int:
        """Append an operation that a space chooses, and return its number."""
        return self._add(NodeRule(**rule), sources)

    def join(self, *sources: Source, **rule: Any) -> int:
        """Append a node that only merges, and return its number."""
        node = self._add(NodeRule(**rule), sources)
        self._joins.add(node)
        return node

    def fixed(self, operation: str, *sources: Source, **rule: Any) -> int:
        """Append a node whose operation the pattern fixes, and return its number."""
        return self._add(NodeRule(operation, **rule), sources)

    def _add(self, rule: NodeRule, sources: tuple[Source, ...]) -> int:
        node = len(self._rules)
        if node >= MAX_NODES:
            raise TopologyError(
                f"The wiring has more than {MAX_NODES} nodes.",
                fix="Use a smaller size, or smaller parameters.",
            )
        self._rules.append(replace(rule, width=reduced(rule.width)))
        for source in sources:
            start, link = source if isinstance(source, tuple) else (source, Link())
            if (start, node) in self._links:
                raise TopologyError(f"Edge {(start, node)} is there twice.", fix="Keep one.")
            self._links[start, node] = link
        return node

    def embed(
        self,
        inner: Topology,
        start: int,
        *,
        width: tuple[int, int] = (1, 1),
        tie: str | None = None,
        own_norms: bool = False,
    ) -> int:
        """Lay `inner` behind node `start`, and return the number of its output node.

        Args:
            inner: The topology; its input is `start`.
            start: A node that is there.
            width: Share of the widths that the inner nodes get.
            tie: Where given, equal places of all embeddings with this tie share weights.
            own_norms: Whether tied nodes keep norms of their own.
        """
        self._embedded += 1
        prefix = f"inner{self._embedded}"
        number = {0: start}
        for node in range(1, inner.num_nodes):
            rule = inner.rule(node)
            several = len(inner.sources(node)) > 1
            merge = rule.merge or (inner.merge if several else None)
            own = rule.tie and f"{prefix if tie is None else tie}.{rule.tie}"
            if tie is not None and own is None and node not in inner.joins:
                own = f"{tie}.node{node}"
            share = (rule.width[0] * width[0], rule.width[1] * width[1])
            laid = replace(
                rule,
                merge=merge,
                width=share,
                tie=own,
                own_norms=rule.own_norms or (own is not None and own_norms),
            )
            sources = [
                (number[source], inner.link((source, node))) for source in inner.sources(node)
            ]
            number[node] = self._add(laid, tuple(sources))
            if node in inner.joins:
                self._joins.add(number[node])
        self._optional |= {(number[source], number[target]) for source, target in inner.optional}
        return number[inner.num_nodes - 1]

    def block(
        self, inner: Topology, start: int, *, tie: str | None = None, own_norms: bool = False
    ) -> int:
        """Embed a block that others follow: one that changes the width ends in a 1x1 back to it.

        So blocks of any pattern can stand in a row, and in a loop.
        """
        end = self.embed(inner, start, tie=tie, own_norms=own_norms)
        if output_share(inner) == 1:
            return end
        closing = None if tie is None else f"{tie}.closing"
        return self.fixed("conv1x1_bn", end, tie=closing, own_norms=tie is not None and own_norms)

    def mark_exit(self, node: int) -> None:
        """Let a node also feed a head of its own."""
        self._rules[node] = replace(self._rules[node], exit=True)

    def topology(self, merge: str = "sum") -> Topology:
        """Return what was built; the last node is the output."""
        rules = {
            node: replace(rule, merge=None) if rule.merge == merge else rule
            for node, rule in enumerate(self._rules)
        }
        return Topology(
            len(self._rules),
            frozenset(self._links),
            joins=frozenset(self._joins),
            merge=merge,
            optional=frozenset(self._optional),
            rules={node: rule for node, rule in rules.items() if rule != NodeRule()},
            links={edge: link for edge, link in self._links.items() if link != Link()},
        )


def output_share(topology: Topology) -> Fraction:
    """Return the channels of the output, as a share of the stage's width; the input has that width.

    Examples:
        >>> from nas.topology.patterns import PATTERNS
        >>> output_share(PATTERNS.get("wide(factor=4)").wire(2))
        Fraction(4, 1)
    """
    shares = [Fraction(1)]
    for node in range(1, topology.num_nodes):
        rule = topology.rule(node)
        if node in topology.joins or (rule.operation is not None and _keeps(rule.operation)):
            shares.append(_merged_share(topology, node, shares))
        else:
            shares.append(Fraction(*rule.width))
    return shares[-1]


def _keeps(operation: str) -> bool:
    return OPERATIONS.get(operation).keeps_channels


def _merged_share(topology: Topology, node: int, shares: list[Fraction]) -> Fraction:
    carried = [
        (topology.link((source, node)).port, shares[source] / topology.link((source, node)).part[1])
        for source in topology.sources(node)
    ]
    if topology.rule(node).merge == "stack":
        return sum((share for _, share in carried), Fraction(0))
    main = [share for port, share in carried if port == "main"]
    return main[0] if main else carried[-1][1]


def reduced(share: tuple[int, int]) -> tuple[int, int]:
    """Return a fraction in lowest terms.

    Examples:
        >>> reduced((50, 100))
        (1, 2)
    """
    divisor = gcd(*share)
    return share[0] // divisor, share[1] // divisor
