"""`Topology`: which node feeds which, and what the pattern that made it fixes beyond that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from nas.errors import TopologyError
from nas.topology.facts import EdgePair, Link, NodeRule

if TYPE_CHECKING:
    import networkx as nx

MAX_NODES = 10_000
MAX_EDGES = 200_000


def check_pairs(num_nodes: int, pairs: Iterable[EdgePair]) -> None:
    """Refuse edges that loop, run backwards or name a node that is not there.

    Raises:
        TopologyError: At the first of them.
    """
    for source, target in pairs:
        if not (0 <= source < num_nodes and 0 <= target < num_nodes):
            raise TopologyError(
                f"Edge {(source, target)} names a node that is not there: "
                f"nodes are 0 to {num_nodes - 1}.",
                fix="Leave the edge out, or add the node.",
            )
        if source == target:
            raise TopologyError(
                f"Edge {(source, target)} is a self loop; wirings are acyclic.",
                fix="Leave it out; nas.topology.loops.unroll writes a loop down as a graph.",
            )
        if source > target:
            raise TopologyError(
                f"Edge {(source, target)} runs backwards: edges go from a lower to a higher "
                "node number.",
                fix="Topology.from_networkx renumbers any acyclic graph.",
            )


def reachable(num_nodes: int, pairs: Iterable[EdgePair]) -> tuple[list[bool], list[bool]]:
    """Return, per node, whether the input reaches it and whether it reaches the output."""
    ordered = sorted(pairs)
    from_input = [index == 0 for index in range(num_nodes)]
    to_output = [index == num_nodes - 1 for index in range(num_nodes)]
    for source, target in ordered:
        from_input[target] |= from_input[source]
    for source, target in reversed(ordered):
        to_output[source] |= to_output[target]
    return from_input, to_output


_FREE_NODE = NodeRule()
_PLAIN_LINK = Link()

Rules = tuple[tuple[int, NodeRule], ...]
Links = tuple[tuple[EdgePair, Link], ...]


@final
@dataclass(frozen=True)
class Topology:
    """A connected directed acyclic wiring from node 0 to node `num_nodes - 1`.

    Args:
        num_nodes: Nodes, the input and the output included; at least 2.
        edges: Pairs `(source, target)` with `source < target`, no pair twice.
        joins: Nodes that only merge what reaches them and compute nothing else.
        merge: Name of the merge the wiring is published with.
        optional: Edges a space may switch off one by one; empty for a fixed wiring.
        rules: What the pattern fixes about nodes, by node; a mapping is stored as sorted pairs.
        links: What the pattern fixes about edges, by edge; stored likewise.

    Raises:
        TopologyError: If an edge runs backwards, loops, repeats or names a missing node, if a
            node lies on no path from input to output, or if a rule or link is about nothing.
    """

    num_nodes: int
    edges: frozenset[EdgePair]
    joins: frozenset[int] = frozenset()
    merge: str = "sum"
    optional: frozenset[EdgePair] = frozenset()
    rules: Rules | Mapping[int, NodeRule] = ()
    links: Links | Mapping[EdgePair, Link] = ()

    def __post_init__(self) -> None:
        for name, known in (("rules", range(self.num_nodes)), ("links", self.edges)):
            given = getattr(self, name)
            pairs = tuple(sorted(given.items() if isinstance(given, Mapping) else given))
            object.__setattr__(self, name, pairs)
            missing = [key for key, _ in pairs if key not in known]
            if missing:
                raise TopologyError(
                    f"The {name} of a topology speak of {missing[0]}, which is not there.",
                    fix=f"Known are {'nodes' if name == 'rules' else 'edges'} of the topology.",
                )
        if self.num_nodes < 2:
            raise TopologyError(
                f"A topology needs at least 2 nodes, an input and an output; got {self.num_nodes}.",
                fix="Add an output: Topology(2, {(0, 1)}) is the smallest.",
            )
        if self.num_nodes > MAX_NODES or len(self.edges) > MAX_EDGES:
            raise TopologyError(
                f"A topology of {self.num_nodes} nodes and {len(self.edges)} edges is beyond the "
                f"limits of {MAX_NODES} nodes and {MAX_EDGES} edges.",
                fix="Wire fewer nodes, or nest parts of them in cells.",
            )
        check_pairs(self.num_nodes, sorted(self.edges))
        from_input, to_output = reachable(self.num_nodes, self.edges)
        for node in range(self.num_nodes):
            if not from_input[node]:
                raise TopologyError(
                    f"Node {node} is disconnected: no path leads to it from the input.",
                    fix="Add an edge into it from a lower node, or leave the node out.",
                )
            if not to_output[node]:
                raise TopologyError(
                    f"Node {node} is disconnected: no path leads from it to the output "
                    f"(node {self.num_nodes - 1}).",
                    fix="Add an edge from it to a higher node, or leave the node out.",
                )

    @cached_property
    def operations(self) -> tuple[int, ...]:
        """Nodes whose operation is open: all but the input, the joins and the fixed ones."""
        return tuple(
            node
            for node in range(1, self.num_nodes)
            if node not in self.joins and self.rule(node).operation is None
        )

    def rule(self, node: int) -> NodeRule:
        """Return what the pattern fixes about a node."""
        return self._rules.get(node, _FREE_NODE)

    def link(self, edge: EdgePair) -> Link:
        """Return what the pattern fixes about an edge."""
        return self._links.get(edge, _PLAIN_LINK)

    @cached_property
    def _rules(self) -> dict[int, NodeRule]:
        return dict(self.rules)

    @cached_property
    def _links(self) -> dict[EdgePair, Link]:
        return dict(self.links)

    def sources(self, node: int) -> tuple[int, ...]:
        """Return the nodes that feed `node`, oldest first."""
        return self._sources[node]

    @cached_property
    def _sources(self) -> tuple[tuple[int, ...], ...]:
        into: list[list[int]] = [[] for _ in range(self.num_nodes)]
        for source, target in sorted(self.edges):
            into[target].append(source)
        return tuple(tuple(sources) for sources in into)

    def to_networkx(self) -> nx.DiGraph[int]:
        """Return the wiring as a `networkx.DiGraph` with nodes 0 to n-1."""
        import networkx as nx

        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(range(self.num_nodes))
        graph.add_edges_from(sorted(self.edges))
        return graph

    @classmethod
    def from_networkx(cls, graph: nx.DiGraph[Any], *, merge: str = "sum") -> Topology:
        """Renumber any acyclic graph with one source and one sink.

        Raises:
            TopologyError: If the graph has a cycle (printed), several sources or several sinks.
        """
        import networkx as nx

        try:
            cycle = nx.find_cycle(graph)
        except nx.NetworkXNoCycle:
            pass
        else:
            shown = "→".join(str(edge[0]) for edge in cycle) + f"→{cycle[0][0]}"
            raise TopologyError(f"The graph has a cycle: {shown}.", fix="Remove one of its edges.")
        starts = [node for node in graph if graph.in_degree(node) == 0]
        ends = [node for node in graph if graph.out_degree(node) == 0]
        for found, noun in ((starts, "input"), (ends, "output")):
            if len(found) != 1:
                raise TopologyError(
                    f"A wiring has one {noun}; this graph has {len(found)}: "
                    f"{sorted(map(str, found))}.",
                    fix=f"Connect the extra ones, or add one {noun} node.",
                )
        order = list(nx.topological_sort(graph))
        order.remove(ends[0])
        number = {node: index for index, node in enumerate([*order, ends[0]])}
        edges = frozenset((number[source], number[target]) for source, target in graph.edges)
        return cls(len(number), edges, merge=merge)
