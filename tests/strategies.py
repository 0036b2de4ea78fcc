"""Hypothesis strategies: random wirings and random architectures that every compiler must accept.

`architectures()` draws networks that `plan` accepts at `INPUT_SHAPE`: all merges, scales,
operations, transforms, strides, widths, ties and nested cells. Shrinking goes towards few nodes,
the identity, the sum and plain edges.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from nas.cost.count import plan_costs
from nas.cost.shapes import plan
from nas.errors import ArchitectureError, TopologyError
from nas.topology.graph import Architecture, Edge, Gain, Node, Topology
from nas.topology.layers import Shape
from nas.topology.operations import OPERATIONS

INPUT_SHAPE: Shape = (4, 8, 8)
"""Default input of the architectures drawn here: channels, height, width."""

OPERATION_NAMES = (
    "identity",
    "conv3x3",
    "conv1x1",
    "conv1x1_bn",
    "relu",
    "avg_pool3x3",
    "max_pool3x3",
    "separable3x3",
    "mbconv3x3",
    "bn_relu",
    "bn_relu_conv3x3",
    "relu_conv3x3_bn",
    "conv5x5",
    "avg_pool2x2",
)
MERGE_NAMES = ("sum", "mean", "weighted", "concat", "stack")
SCALES = ("auto", "none", "rsqrt", "mean")
EDGE_TRANSFORMS = ("identity", "project", "zero_pad", "conv1x1", "avg_pool3x3", "relu")
WIDTHS = (None, 4, 6)
CARRIED: tuple[dict[str, Any], ...] = (
    {"gain": Gain("fixed", 0.5)},
    {"gain": Gain("scalar", 0.25)},
    {"gain": Gain("channel", 1.5)},
    {"part": (0, 2)},
    {"part": (1, 2), "gain": Gain("scalar", -1.0)},
    {"port": "main"},
)
"""What an edge may carry, beside its transform."""

Draw = Any


@st.composite
def topologies(draw: Draw, max_nodes: int = 8) -> Topology:
    """Draw a connected wiring of 2 to `max_nodes` nodes, some of them joins."""
    num_nodes = draw(st.integers(2, max_nodes))
    edges = _draw_pairs(draw, num_nodes)
    joins = draw(st.frozensets(st.integers(1, num_nodes - 1), max_size=num_nodes - 1))
    merge = draw(st.sampled_from(MERGE_NAMES))
    return Topology(num_nodes, frozenset(edges), joins=joins, merge=merge)


@st.composite
def architectures(
    draw: Draw,
    max_nodes: int = 7,
    input_shape: Shape = INPUT_SHAPE,
    *,
    cells: int = 1,
    ties: bool = True,
    transforms: bool = True,
    operations: tuple[str, ...] = OPERATION_NAMES,
    merges: tuple[str, ...] = MERGE_NAMES,
    names: bool = True,
    carried: bool = True,
    exits: bool = False,
) -> Architecture:
    """Draw a network that `plan(network, input_shape)` and `cost` accept.

    Args:
        draw: Given by hypothesis.
        max_nodes: Nodes of the outermost graph, the input included.
        input_shape: The shape it must be computable at.
        cells: Levels of nested architectures that may occur; 0 for flat networks.
        ties: Whether equal nodes may share weights.
        transforms: Whether edges may carry operations, `project` and `zero_pad`.
        operations: Operations to draw from.
        merges: Merges to draw from.
        names: Whether nodes get unique names.
        carried: Whether edges may carry parts of tensors, gains and the port `main`.
        exits: Whether nodes may have heads of their own.
    """
    num_nodes = draw(st.integers(2, max_nodes))
    pairs = sorted(_draw_pairs(draw, num_nodes))
    nodes = [Node(name="input" if names else "")]
    shapes: list[Shape] = [input_shape]
    for index in range(1, num_nodes):
        merge = draw(st.sampled_from(merges))
        sources = [source for source, target in pairs if target == index]
        merged = shapes[max(sources)]
        if merge == "stack":
            merged = (sum(shapes[source][0] for source in sources), *merged[1:])
        node, output = _draw_node(draw, merged, operations, cells, merges)
        name = f"op{index}" if names else ""
        scale = draw(st.sampled_from(SCALES))
        nodes.append(
            Node(node.operation, merge, scale, node.width, node.stride, None, node.cell, name)
        )
        shapes.append(output)
    network = Architecture(tuple(nodes), tuple(Edge(*pair) for pair in pairs))
    if transforms:
        network = _with_transforms(draw, network, input_shape)
    if carried:
        network = _with_carried(draw, network, input_shape)
    if exits:
        flags = draw(st.lists(st.booleans(), min_size=num_nodes, max_size=num_nodes))
        flagged = zip(network.nodes, flags, strict=True)
        network = replace(network, nodes=tuple(replace(node, exit=flag) for node, flag in flagged))
    if ties and draw(st.booleans()):
        network = _with_tie(network, input_shape)
    return network


def _draw_pairs(draw: Draw, num_nodes: int) -> set[tuple[int, int]]:
    edges: set[tuple[int, int]] = set()
    for target in range(1, num_nodes):
        newest = draw(st.integers(0, target - 1))
        more = draw(st.frozensets(st.integers(0, target - 1), max_size=3))
        edges |= {(source, target) for source in {newest, *more}}
    read = {source for source, _ in edges}
    return edges | {(node, num_nodes - 1) for node in range(num_nodes - 1) if node not in read}


def _draw_node(
    draw: Draw, merged: Shape, operations: tuple[str, ...], cells: int, merges: tuple[str, ...]
) -> tuple[Node, Shape]:
    if cells and draw(st.integers(0, 7)) == 7:
        inner = draw(
            architectures(4, merged, cells=cells - 1, operations=operations, merges=merges)
        )
        return Node(cell=inner), plan(inner, merged).output
    fitting = [
        name for name in operations if min(OPERATIONS.get(name).shapes(merged, 4, 1)[-1]) > 0
    ]
    name = draw(st.sampled_from(fitting))
    operation = OPERATIONS.get(name)
    width = None if operation.keeps_channels else draw(st.sampled_from(WIDTHS))
    stride = draw(st.sampled_from((1, 1, 2))) if operation.can_stride else 1
    output = operation.shapes(merged, width or merged[0], stride)[-1]
    return Node(name, width=width, stride=stride), output


def _with_transforms(draw: Draw, network: Architecture, input_shape: Shape) -> Architecture:
    """Give some edges a transform, or a parallel edge, wherever the network stays computable."""
    for _ in range(draw(st.integers(0, 3))):
        position = draw(st.integers(0, len(network.edges) - 1))
        transform = draw(st.sampled_from(EDGE_TRANSFORMS))
        old = network.edges[position]
        if any(edge == Edge(old.source, old.target, transform) for edge in network.edges):
            continue
        kept = network.edges if draw(st.booleans()) else _without(network.edges, position)
        edges = (*kept, Edge(old.source, old.target, transform))
        try:
            changed = replace(network, edges=edges)
            plan(changed, input_shape)
        except ArchitectureError:
            continue
        network = changed
    return network


def _with_carried(draw: Draw, network: Architecture, input_shape: Shape) -> Architecture:
    """Give some edges a part, a gain or the main port, wherever the network stays computable."""
    for _ in range(draw(st.integers(0, 3))):
        position = draw(st.integers(0, len(network.edges) - 1))
        old = network.edges[position]
        changes: dict[str, Any] = draw(st.sampled_from(CARRIED))
        edges = (*_without(network.edges, position), replace(old, **changes))
        try:
            changed = replace(network, edges=edges)
            plan(changed, input_shape)
        except (ArchitectureError, TopologyError):
            continue
        network = changed
    return network


def _without(edges: tuple[Edge, ...], position: int) -> tuple[Edge, ...]:
    return edges[:position] + edges[position + 1 :]


def _with_tie(network: Architecture, input_shape: Shape) -> Architecture:
    """Tie the first two nodes that compute the same thing at the same widths, if there are two."""
    seen: dict[Any, int] = {}
    for step in plan(network, input_shape).steps[1:]:
        node = step.node
        weights = None  # some layers have weights for every position
        if step.operation is not None:
            weights = step.operation.parameters(step.merged, step.output[0], node.stride)
        key = (node.operation, node.cell, node.stride, step.merged[0], step.output[0], weights)
        first = seen.setdefault(key, step.index)
        if first != step.index:
            nodes = list(network.nodes)
            for index in (first, step.index):
                old = nodes[index]
                nodes[index] = Node(
                    old.operation,
                    old.merge,
                    old.scale,
                    old.width,
                    old.stride,
                    "shared",
                    old.cell,
                    old.name,
                    own_norms=index != first and not old.cell and old.name.endswith(("3", "5")),
                    exit=old.exit,
                )
            tied = replace(network, nodes=tuple(nodes))
            plan_costs(plan(tied, input_shape))
            return tied
    return network


def renumbered(network: Architecture, random: Any) -> Architecture:
    """Return the network with its nodes in another random topological order, without names.

    `random` is a `random.Random`. Where inputs of a node differ in shape the new order may choose
    another main input, and so be another network.
    """
    last = len(network.nodes) - 1
    waiting = [len({edge.source for edge in network.inputs(node)}) for node in range(last + 1)]
    ready = [node for node in range(1, last) if waiting[node] == 0]
    order = [0]
    while True:
        done = order[-1]
        for target in {edge.target for edge in network.edges if edge.source == done}:
            waiting[target] -= 1
            if waiting[target] == 0 and target != last:
                ready.append(target)
        if not ready:
            break
        order.append(ready.pop(random.randrange(len(ready))))
    order.append(last)
    number = {old: new for new, old in enumerate(order)}
    return Architecture(
        tuple(replace(network.nodes[old], name="") for old in order),
        tuple(replace(e, source=number[e.source], target=number[e.target]) for e in network.edges),
        ("renumbered",),
        network.zero_allowed,
    )
