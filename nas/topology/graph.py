"""The graph: `Topology` (which node feeds which) and `Architecture` (what every node computes).

Every stage of the engine reads these two frozen classes: patterns and spaces build them, `nas.cost`
and `nas.model` compile them, samplers edit them. They hold plain values, so they hash, compare,
print and travel as JSON, and importing them loads neither torch nor optuna. Nodes stand in
topological order: node 0 is the input, the last node is the output, and every edge runs from a
lower to a higher number. Names and the `wiring` label are for people; no id depends on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, final

from nas.errors import ArchitectureError, TopologyError
from nas.topology.facts import (
    PLAIN,
    WHOLE,
    EdgePair,
    Gain,
    Link,
    NodeRule,
    Part,
    check_count,
    check_kind,
    check_part,
)
from nas.topology.topology import MAX_EDGES, MAX_NODES, Topology, check_pairs, reachable

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "MAX_EDGES",
    "MAX_NODES",
    "PLAIN",
    "WHOLE",
    "Architecture",
    "Edge",
    "EdgePair",
    "Gain",
    "Link",
    "Node",
    "NodeRule",
    "Part",
    "Topology",
    "by_importance",
]

HEADS = ("classifier", "none")


@final
@dataclass(frozen=True)
class Node:
    """What one node computes: `operation(merge(inputs))`.

    Args:
        operation: Name in `nas.topology.operations.OPERATIONS`; `identity` for a join.
        merge: Name in `nas.topology.merges.MERGES`: how several inputs become one tensor.
        scale: `auto` (the merge's own), `none`, `rsqrt` or `mean`: the factor 1, d^-1/2 or d^-1
            on the merged tensor, d the in-degree.
        width: Output channels; None keeps the channels of the merged input.
        stride: Factor by which the operation lowers the resolution.
        tie: Nodes with the same tie share their operation's weights.
        cell: A nested architecture that stands in place of the operation.
        name: Unique label such as `stage2.op3`; the supernet files weights under it.
        own_norms: Whether a tied node keeps norms of its own.
        exit: Whether the output also feeds a head of its own (pooling, linear classifier), for
            a prediction before the end.
        motif: Name of a shared definition: all nodes of one motif hold equal cells.
    """

    operation: str = "identity"
    merge: str = "sum"
    scale: str = "auto"
    width: int | None = None
    stride: int = 1
    tie: str | None = None
    cell: Architecture | None = None
    name: str = ""
    own_norms: bool = False
    exit: bool = False
    motif: str = ""


@final
@dataclass(frozen=True, order=True)
class Edge:
    """A connection, and what it does to the tensor it carries.

    Args:
        source: Number of the node it leaves.
        target: Number of the node it enters; larger than `source`.
        transform: `auto` (the identity where shapes agree, else pooling and a 1x1 projection),
            `project`, `zero_pad`, or the name of an operation.
        port: Which input of the target it feeds: `main` sets the node's shape (without one, the
            newest source does), `mask` is read by merges that gate; others are names for people.
        part: `(i, n)`: it carries the i-th of n equal groups of its source's channels.
        gain: What the tensor is multiplied with, behind the adapter.
    """

    source: int
    target: int
    transform: str = "auto"
    port: str = "default"
    part: Part = WHOLE
    gain: Gain = PLAIN


def by_importance(edges: Sequence[Edge]) -> list[Edge]:
    """Return the edges into a node, its main one first, then the newest source first."""
    newest_first = list(reversed(edges))
    newest_first.sort(key=lambda edge: edge.port != "main")
    return newest_first


@final
@dataclass(frozen=True)
class Architecture:
    """An immutable network: nodes in topological order and the edges between them.

    The network's head is added by the compiler to the last node of the outermost architecture;
    it is not a node.

    Args:
        nodes: Node 0 is the input, the last one the output.
        edges: Kept sorted; an exact repetition is an error.
        wiring: Names of the patterns the stages were built from; a label, in no id.
        zero_allowed: Let nodes stand without inputs: they yield zeros (tabulated cells need it).
        head: `classifier` (global average pooling, linear), or `none`: the network returns the
            last node's tensor, as one that draws maps does.

    Raises:
        ArchitectureError: If a node's numbers are impossible.
        TopologyError: If the edges are no connected acyclic graph.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    wiring: tuple[str, ...] = field(default=(), compare=False)
    zero_allowed: bool = False
    head: Literal["classifier", "none"] = "classifier"

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(self.nodes))
        check_kind(self.nodes, Node)
        object.__setattr__(self, "edges", tuple(self.edges))
        check_kind(self.edges, Edge)
        object.__setattr__(self, "edges", tuple(sorted(self.edges)))
        if len(self.nodes) < 2:
            raise TopologyError(
                f"An architecture needs at least 2 nodes, an input and an output; "
                f"got {len(self.nodes)}.",
                fix="Add an output node, and an edge from node 0 to it.",
            )
        if len(self.nodes) > MAX_NODES or len(self.edges) > MAX_EDGES:
            raise TopologyError(
                f"An architecture of {len(self.nodes)} nodes and {len(self.edges)} edges is beyond "
                f"the limits of {MAX_NODES} nodes and {MAX_EDGES} edges.",
                fix="Use fewer nodes, or nest parts of them in cells.",
            )
        if self.head not in HEADS:
            raise ArchitectureError(
                f"Unknown head '{self.head}'.", fix=f"Known heads: {', '.join(HEADS)}."
            )
        self._check_nodes()
        self._check_motifs()
        self._check_edges()

    def _check_motifs(self) -> None:
        """Refuse two definitions of one motif."""
        known: dict[str, tuple[int, Architecture | None]] = {}
        for index, node in enumerate(self.nodes):
            if not node.motif:
                continue
            if node.cell is None:
                raise ArchitectureError(
                    f"{self.label(index)} names the motif '{node.motif}' but holds no cell.",
                    fix="Give it a cell, or leave the motif out.",
                )
            first, cell = known.setdefault(node.motif, (index, node.cell))
            if cell != node.cell:
                raise ArchitectureError(
                    f"{self.label(index)} and {self.label(first).lower()} hold different cells "
                    f"under the one motif '{node.motif}'.",
                    fix="Give the changed cell another motif, or none.",
                )

    def _check_nodes(self) -> None:
        for index, node in enumerate(self.nodes):
            check_count("width", 1 if node.width is None else node.width, self.label(index))
            check_count("stride", node.stride, self.label(index))
            if node.scale not in ("auto", "none", "rsqrt", "mean"):
                raise ArchitectureError(
                    f"{self.label(index)} has scale '{node.scale}'.",
                    fix="Known scales: auto, none, rsqrt, mean.",
                )

    def _check_ports(self) -> None:
        mains: set[int] = set()
        for edge in self.edges:
            check_part(edge.part, f"{self.label(edge.target)}: the edge from node {edge.source}")
            if edge.port == "main" and edge.target in mains:
                raise ArchitectureError(
                    f"{self.label(edge.target)} has two main inputs.",
                    fix="One edge at most has the port 'main': it sets the node's shape.",
                )
            if edge.port == "main":
                mains.add(edge.target)

    def _check_edges(self) -> None:
        pairs = [(edge.source, edge.target) for edge in self.edges]
        check_pairs(len(self.nodes), pairs)
        self._check_ports()
        for first, second in zip(self.edges, self.edges[1:], strict=False):
            if first == second:
                raise TopologyError(
                    f"Edge {(first.source, first.target)} is there twice.",
                    fix="Keep one; to add a tensor to itself use two different transforms.",
                )
        if self.zero_allowed:
            return
        from_input, to_output = reachable(len(self.nodes), pairs)
        for index in range(len(self.nodes)):
            if not (from_input[index] and to_output[index]):
                side = "from the input to it" if not from_input[index] else "from it to the output"
                raise TopologyError(
                    f"{self.label(index)} is disconnected: no path leads {side}.",
                    fix="Architecture.pruned leaves such nodes out.",
                )

    @classmethod
    def pruned(
        cls, nodes: Iterable[Node], edges: Iterable[Edge], wiring: tuple[str, ...] = ()
    ) -> Architecture:
        """Build an architecture without the nodes that lie on no path from input to output.

        Raises:
            TopologyError: If no path leads from input to output at all.
        """
        kept_nodes, kept_edges = list(nodes), list(edges)
        pairs = [(edge.source, edge.target) for edge in kept_edges]
        check_pairs(len(kept_nodes), pairs)
        from_input, to_output = reachable(len(kept_nodes), pairs)
        alive = [
            index for index in range(len(kept_nodes)) if (from_input[index] and to_output[index])
        ]
        if not alive or alive[0] != 0 or alive[-1] != len(kept_nodes) - 1:
            raise TopologyError(
                "No path leads from the input to the output.",
                fix=f"Connect node 0 with node {len(kept_nodes) - 1}, by way of others or not.",
            )
        number = {old: new for new, old in enumerate(alive)}
        return cls(
            tuple(kept_nodes[index] for index in alive),
            tuple(
                replace(edge, source=number[edge.source], target=number[edge.target])
                for edge in kept_edges
                if edge.source in number and edge.target in number
            ),
            wiring,
        )

    def label(self, index: int) -> str:
        """Return what to call node `index` in a message: its number and its name."""
        name = self.nodes[index].name
        return f"Node {index} ('{name}')" if name else f"Node {index}"

    def inputs(self, index: int) -> tuple[Edge, ...]:
        """Return the edges into node `index`, oldest source first."""
        return self._inputs[index]

    @cached_property
    def _inputs(self) -> tuple[tuple[Edge, ...], ...]:
        into: list[list[Edge]] = [[] for _ in self.nodes]
        for edge in self.edges:
            into[edge.target].append(edge)
        return tuple(tuple(edges) for edges in into)

    @cached_property
    def _hash(self) -> int:
        return hash((self.nodes, self.edges, self.zero_allowed, self.head))

    def __hash__(self) -> int:
        """Return the hash of nodes and edges, computed once."""
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        """Leave the cached hash at home: Python's string hashes differ between processes."""
        fields = ("nodes", "edges", "wiring", "zero_allowed", "head")
        return {name: self.__dict__[name] for name in fields}

    def _repr_svg_(self) -> str:
        """Return the drawing that a notebook shows."""
        from nas.topology.svg_drawing import draw_architecture  # which reads this module

        return draw_architecture(self, "-".join(self.wiring))

    def to_networkx(self) -> nx.MultiDiGraph[int]:
        """Return a `networkx.MultiDiGraph` with the fields of nodes and edges as attributes."""
        import networkx as nx

        graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
        for index, node in enumerate(self.nodes):
            graph.add_node(index, **_plain_node(node))
        for edge in self.edges:
            graph.add_edge(edge.source, edge.target, transform=edge.transform, port=edge.port)
        return graph


def _plain_node(node: Node) -> dict[str, Any]:
    return {
        "operation": "cell" if node.cell is not None else node.operation,
        "merge": node.merge,
        "width": node.width,
        "stride": node.stride,
        "name": node.name,
    }
