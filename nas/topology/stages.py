"""Laying a topology out: from what a pattern returns to nodes and edges of an architecture.

Spaces build their members with it, the command line wires a pattern alone, and published networks
may use a pattern as one of their blocks. What a pattern leaves open (operations, merges, optional
edges) is asked from the caller; what it fixes (`NodeRule`, `Link`) is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from nas.errors import ArchitectureError
from nas.topology.graph import Architecture, Edge, EdgePair, Node, Topology
from nas.topology.operations import OPERATIONS


def node_names(stage: str, topology: Topology) -> list[str]:
    """Return the name of every node: `in`, `op1`.., `join1`.., `fixed1`.., `out` for a last join.

    The supernet files weights under these names.
    """
    names = [f"{stage}.in"]
    counts = {"op": 0, "join": 0, "fixed": 0}
    computing = set(topology.operations)
    for node in range(1, topology.num_nodes):
        kind = "op" if node in computing else "join" if node in topology.joins else "fixed"
        if kind == "join" and node == topology.num_nodes - 1:
            names.append(f"{stage}.out")
            continue
        counts[kind] += 1
        names.append(f"{stage}.{kind}{counts[kind]}")
    return names


def add_stage(
    nodes: list[Node],
    edges: list[Edge],
    topology: Topology,
    *,
    name: str,
    width: int,
    operation: Callable[[str], str],
    merge: Callable[[str], str] = lambda _: "default",
    scale: str = "auto",
    on: Callable[[EdgePair], bool] = lambda _: True,
    tie: Callable[[str], str | None] = lambda _: None,
) -> int:
    """Append a stage whose input is the last node of `nodes`; return its output node.

    Args:
        nodes: Nodes so far; the last one is the stage's entry.
        edges: Edges so far.
        topology: The wiring.
        name: Of the stage, in front of the names of its nodes.
        width: Channels of the stage; a rule may ask for a share of it.
        operation: From the name of an open node to its operation.
        merge: From the name of a node to its merge; `default` is the topology's own.
        scale: Of every merge.
        on: Whether an optional edge of the topology is there.
        tie: From the name of a node that the topology does not tie to its tie; nodes tied so keep
            norms of their own.

    Raises:
        ArchitectureError: If a rule asks for an operation that its node cannot have.
        NotFoundError: If an operation is unknown.
    """
    names = node_names(name, topology)
    entry = len(nodes) - 1
    computing = set(topology.operations)
    for node in range(1, topology.num_nodes):
        rule = topology.rule(node)
        computes = operation(names[node]) if node in computing else rule.operation or "identity"
        asked = merge(names[node])
        default = rule.merge or topology.merge
        channels = max(1, width * rule.width[0] // rule.width[1])
        own_tie = tie(names[node]) if rule.tie is None else None
        nodes.append(
            Node(
                computes,
                default if asked == "default" or rule.merge is not None else asked,
                scale,
                width=None if OPERATIONS.get(computes).keeps_channels else channels,
                stride=rule.stride,
                tie=own_tie if rule.tie is None else f"{name}.{rule.tie}",
                name=names[node],
                own_norms=rule.own_norms or own_tie is not None,
                exit=rule.exit,
            )
        )
        for source in topology.sources(node):
            pair = (source, node)
            if pair in topology.optional and not on(pair):
                continue
            link = topology.link(pair)
            edges.append(
                Edge(entry + source, entry + node, link.transform, link.port, link.part, link.gain)
            )
    return len(nodes) - 1


def stage_architecture(
    topology: Topology,
    *,
    width: int = 16,
    operation: str = "conv3x3",
    merge: str = "default",
    scale: str = "auto",
    stem: str | None = None,
    wiring: Collection[str] = (),
) -> Architecture:
    """Return the architecture of one stage alone.

    Args:
        topology: The wiring.
        width: Channels.
        operation: Of every open node.
        merge: Of every node; `default` is the topology's own.
        scale: Of every merge.
        stem: Operation in front that brings the image to the width; without one the first nodes
            read the image, so that the measures are those of the wiring.
        wiring: Label.

    Raises:
        ArchitectureError: If the width is below 1.
        NotFoundError: If an operation is unknown.
    """
    if width < 1:
        raise ArchitectureError(
            f"A stage has at least 1 channel; got a width of {width}.", fix="The nearest is 1."
        )
    nodes = [Node(name="input")]
    edges: list[Edge] = []
    if stem is not None:
        nodes.append(Node(stem, width=width, name="stem"))
        edges.append(Edge(0, 1))
    name = "stage1"
    add_stage(
        nodes,
        edges,
        topology,
        name=name,
        width=width,
        operation=lambda _: operation,
        merge=lambda _: merge,
        scale=scale,
    )
    return Architecture(tuple(nodes), tuple(edges), tuple(wiring))
