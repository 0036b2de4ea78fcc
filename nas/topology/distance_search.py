"""The search behind `nas.topology.distance`: which node of one graph is which of another.

Nodes of the first graph are decided one by one, most connected first: each becomes a node of the
second or goes. A branch is left where its steps so far, and what the labels of the undecided rest
cannot do without, reach the best that is known. Depth first, so memory is small.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar, final

NodeLabel = tuple[str, str, str]
"""What a node computes, how it merges, and its head."""

Label = TypeVar("Label", NodeLabel, str)

_NONE: tuple[str, ...] = ()
_MOST_STEPS_AT_A_NODE = 2
"""Removing a node and adding another is two steps, so changing one is never more: without this the
triangle inequality would not hold."""


@final
@dataclass(frozen=True)
class LabelledWiring:
    """A graph as the search sees it.

    Args:
        nodes: Labels by node; the first is the input, the last the output.
        edges: Sorted labels of all edges between two nodes, by their ends.
        names: Names of nodes, to start from; of no account otherwise.
    """

    nodes: tuple[NodeLabel, ...]
    edges: dict[tuple[int, int], tuple[str, ...]]
    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """Return the number of nodes."""
        return len(self.nodes)

    @cached_property
    def neighbours(self) -> list[list[tuple[int, bool]]]:
        """Return per node the nodes it is connected with, and whether it reads them."""
        found: list[list[tuple[int, bool]]] = [[] for _ in self.nodes]
        for source, target in self.edges:
            found[target].append((source, True))
            found[source].append((target, False))
        return found


def node_steps(one: NodeLabel, other: NodeLabel) -> int:
    """Return the steps from one node to another."""
    unlike = sum(ours != theirs for ours, theirs in zip(one, other, strict=True))
    return min(unlike, _MOST_STEPS_AT_A_NODE)


def edge_steps(ours: tuple[str, ...], theirs: tuple[str, ...]) -> int:
    """Return the steps from the edges between two nodes to those between two others."""
    if ours == theirs:
        return 0
    if not (ours and theirs):
        return len(ours) + len(theirs)
    common = sum((Counter(ours) & Counter(theirs)).values())
    return max(len(ours), len(theirs)) - common


def unlike(ours: Counter[Label], theirs: Counter[Label]) -> int:
    """Return the steps that two bags of labels cannot do without."""
    common = sum(min(count, theirs[label]) for label, count in ours.items())
    return max(ours.total(), theirs.total()) - common


@final
@dataclass(frozen=True)
class GraphPair:
    """Two graphs, and what a correspondence between them costs."""

    first: LabelledWiring
    second: LabelledWiring

    def steps(self, pairs: Mapping[int, int]) -> int:
        """Return the steps of a correspondence: `pairs` maps nodes one to one."""
        ours, theirs = self.first, self.second
        total = ours.size + theirs.size - 2 * len(pairs)
        total += sum(node_steps(ours.nodes[n], theirs.nodes[m]) for n, m in pairs.items())
        seen = set()
        for (source, target), labels in ours.edges.items():
            ends = (pairs.get(source, -1), pairs.get(target, -1))
            seen.add(ends)
            total += edge_steps(labels, theirs.edges.get(ends, _NONE))
        return total + sum(len(v) for ends, v in theirs.edges.items() if ends not in seen)

    def free_steps(self) -> int:
        """Return the steps that no correspondence can do without."""
        return unlike(Counter(self.first.nodes), Counter(self.second.nodes)) + unlike(
            _edge_bag(self.first), _edge_bag(self.second)
        )


def _edge_bag(graph: LabelledWiring) -> Counter[str]:
    return Counter(label for labels in graph.edges.values() for label in labels)


def improve(
    pair: GraphPair, start: Mapping[int, int], effort: int
) -> tuple[int, int, dict[int, int]]:
    """Return a lower bound, an upper bound, and the correspondence that reaches it.

    Args:
        pair: The graphs.
        start: A correspondence to start from; it maps input to input and output to output.
        effort: States to look at, at most.
    """
    lower, upper = pair.free_steps(), pair.steps(start)
    if lower >= upper:
        return upper, upper, dict(start)
    search = _Search(pair, upper, dict(start), effort)
    search.run()
    if search.effort >= 0:
        return search.upper, search.upper, search.best
    return min(lower, search.upper), search.upper, search.best


@final
@dataclass
class _Search:
    """Depth-first branch and bound over the nodes of the first graph."""

    pair: GraphPair
    upper: int
    best: dict[int, int]
    effort: int
    pairs: dict[int, int] = field(default_factory=dict)
    used: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ours, theirs = self.pair.first, self.pair.second
        inner = range(1, ours.size - 1)
        order = sorted(inner, key=lambda node: (-len(ours.neighbours[node]), node))
        self.order = [0, ours.size - 1, *order]
        self.free = set(range(1, theirs.size - 1))
        self.left_nodes = Counter(ours.nodes)
        self.right_nodes = Counter(theirs.nodes)
        self.left_edges, self.right_edges = _edge_bag(ours), _edge_bag(theirs)
        self.gone: set[int] = set()

    def run(self) -> None:
        """Search until done or out of effort; `effort` is then negative."""
        ends = ((0, 0), (self.pair.first.size - 1, self.pair.second.size - 1))
        steps = 0
        for node, other in ends:
            steps += self._decide(node, other)
        self._descend(len(ends), steps)

    def _descend(self, depth: int, steps: int) -> None:
        self.effort -= 1
        if self.effort < 0:
            return
        rest = unlike(self.left_nodes, self.right_nodes)
        if steps + rest + unlike(self.left_edges, self.right_edges) >= self.upper:
            return
        if depth == len(self.order):
            # Nothing is undecided but what the second graph has more: all of it is added.
            total = steps + self.right_nodes.total() + self.right_edges.total()
            if total < self.upper:
                self.upper, self.best = total, dict(self.pairs)
            return
        node = self.order[depth]
        for other in self._candidates(node):
            more = self._decide(node, other)
            if steps + more < self.upper:
                self._descend(depth + 1, steps + more)
            self._take_back(node, other)
            if self.effort < 0:
                return

    def _candidates(self, node: int) -> list[int | None]:
        """Return what a node may become, the likeliest first: what is like it, and its number."""
        label, wanted = self.pair.first.nodes[node], self.best.get(node, node)
        nodes = self.pair.second.nodes

        def rank(other: int) -> tuple[bool, int, int]:
            return other != wanted, node_steps(label, nodes[other]), abs(other - wanted)

        return [*sorted(self.free, key=rank), None]

    def _decide(self, node: int, other: int | None) -> int:
        """Let a node become another, or go; return the steps this takes for sure."""
        ours, theirs = self.pair.first, self.pair.second
        self.left_nodes[ours.nodes[node]] -= 1
        steps = 1
        if other is not None:
            self.right_nodes[theirs.nodes[other]] -= 1
            steps = node_steps(ours.nodes[node], theirs.nodes[other])
        mine = self._settled(ours, node, self.pairs, self.left_edges)
        mine_gone = self._settled_with(ours, node, self.gone, self.left_edges)
        if other is None:
            self.gone.add(node)
            return steps + sum(map(len, mine.values())) + mine_gone
        yours = self._settled(theirs, other, self.used, self.right_edges)
        self.pairs[node], self.used[other] = other, node
        self.free.discard(other)
        for (partner, reads), labels in mine.items():
            steps += edge_steps(labels, yours.pop((self.pairs[partner], reads), _NONE))
        return steps + sum(map(len, yours.values())) + mine_gone

    def _take_back(self, node: int, other: int | None) -> None:
        ours, theirs = self.pair.first, self.pair.second
        if other is None:
            self.gone.discard(node)
        else:
            del self.pairs[node], self.used[other]
            self.free.add(other)
            self.right_nodes[theirs.nodes[other]] += 1
            self._settled(theirs, other, self.used, self.right_edges, sign=1)
        self.left_nodes[ours.nodes[node]] += 1
        self._settled(ours, node, self.pairs, self.left_edges, sign=1)
        self._settled_with(ours, node, self.gone, self.left_edges, sign=1)

    @staticmethod
    def _settled(
        graph: LabelledWiring,
        node: int,
        decided: Mapping[int, int],
        bag: Counter[str],
        sign: int = -1,
    ) -> dict[tuple[int, bool], tuple[str, ...]]:
        """Return a node's edges to decided nodes, and move them out of the bag of open ones."""
        found = {}
        for partner, reads in graph.neighbours[node]:
            if partner in decided:
                labels = graph.edges[(partner, node) if reads else (node, partner)]
                found[partner, reads] = labels
                for label in labels:
                    bag[label] += sign
        return found

    @staticmethod
    def _settled_with(
        graph: LabelledWiring, node: int, gone: set[int], bag: Counter[str], sign: int = -1
    ) -> int:
        """Return how many edges a node has with nodes that go; they go, too."""
        total = 0
        for partner, reads in graph.neighbours[node]:
            if partner in gone:
                labels = graph.edges[(partner, node) if reads else (node, partner)]
                total += len(labels)
                for label in labels:
                    bag[label] += sign
        return total
