"""Loops: a body that runs several times with one set of weights, unrolled into a plain network.

An unrolled loop is an architecture like any other: every run of the body is written down, and ties
say which weights are one. So everything that reads architectures (costs, compilers, ids, drawings)
knows loops without a word about them. Multiply-adds grow linearly with the number of runs, weights
of operations not at all; one run is the body itself. Norms that are kept apart, learned merges and
learned gains belong to a place in the network and are there once per run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from nas.errors import ArchitectureError, ConfigError
from nas.topology.graph import MAX_NODES, PLAIN, Architecture, Edge, Gain, Node
from nas.topology.symbolic import architecture_shapes

MAX_RUNS = 1_000


@final
@dataclass(frozen=True)
class Loop:
    """How a body is repeated.

    Args:
        runs: How often the body runs, T.
        own_norms: Whether every run has norms of its own (Xue et al. 2021, WideNet,
            arXiv:2107.11817); the other weights are shared in any case.
        inject: Whether the loop's input is added in front of every run but the first (Bai et al.
            2018, TrellisNet, arXiv:1810.06682).
        residual: Whether a run adds to its input what the body makes of it (Ng and Wang 2024,
            Loop-Residual, arXiv:2409.14199).
        gain: What the body's output is multiplied with before it is added; of residual loops.
        exits: Whether every run but the last ends in an exit.

    Raises:
        ConfigError: If there are fewer runs than one or too many, or a gain without an addition.
    """

    runs: int
    own_norms: bool = False
    inject: bool = False
    residual: bool = False
    gain: Gain = PLAIN
    exits: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.runs <= MAX_RUNS:
            raise ConfigError(
                f"A loop of {self.runs} runs is not possible: 1 to {MAX_RUNS}.",
                fix=f"The nearest is {min(max(self.runs, 1), MAX_RUNS)}.",
            )
        if self.gain != PLAIN and not self.residual:
            raise ConfigError(
                "A loop has a gain but no residual: nothing is added that it could weigh.",
                fix="Set residual=True, or leave the gain out.",
            )


def unroll(body: Architecture, loop: Loop, *, name: str = "loop") -> Architecture:
    """Return the network that runs a body `loop.runs` times with one set of weights.

    Args:
        body: A network whose output is shaped as its input, whatever the input is; its head stays.
        loop: How it is repeated.
        name: In front of the ties, so that two loops of one network stay apart.

    Raises:
        ArchitectureError: If the body changes the resolution of its input, or the unrolled
            network would have too many nodes.
    """
    if loop.runs > 1 or loop.residual:
        _check_shapes(body)
    if (len(body.nodes) + 1) * loop.runs > MAX_NODES:
        raise ArchitectureError(
            f"{loop.runs} runs of {len(body.nodes) - 1} nodes are more than {MAX_NODES} nodes.",
            fix="Lower the number of runs, or make the body smaller.",
        )
    unrolled = _Unrolled(body, loop, name)
    for run in range(loop.runs):
        unrolled.add_run(run)
    return replace(body, nodes=tuple(unrolled.nodes), edges=tuple(unrolled.edges))


def loop_stage(architecture: Architecture, node: int, loop: Loop) -> Architecture:
    """Return the network with a node's nested cell run in a loop.

    Args:
        architecture: The network.
        node: Number of a node that holds a cell.
        loop: How the cell is repeated; exits stay outside of cells, so it has none.

    Raises:
        ArchitectureError: If the node holds no cell, the loop has exits, or as `unroll` does.
    """
    cell = architecture.nodes[node].cell
    if cell is None:
        raise ArchitectureError(
            f"{architecture.label(node)} holds no cell that could run in a loop.",
            fix="Nest the nodes of the body in a cell first.",
        )
    if loop.exits:
        raise ArchitectureError(
            f"{architecture.label(node)}: a loop inside of a cell has no exits.",
            fix="Flatten the network, or leave exits out.",
        )
    nodes = list(architecture.nodes)
    # The motif names the plain body, which this node no longer holds.
    nodes[node] = replace(nodes[node], cell=unroll(cell, loop), motif="")
    return replace(architecture, nodes=tuple(nodes))


def recurse_over_scales(
    body: Architecture, runs: int, *, own_norms: bool = True, name: str = "scales"
) -> Architecture:
    """Return a network that runs one body at every scale, each half as fine as the one before.

    Between two runs the resolution is halved by average pooling, so one set of weights reads all
    scales. Norms are kept apart by default: statistics differ between scales.

    Args:
        body: A network whose output is shaped as its input.
        runs: Number of scales.
        own_norms: Whether every scale has norms of its own.
        name: In front of the ties.

    Raises:
        ArchitectureError: As `unroll` does.
        ConfigError: If there are fewer scales than one or too many.
    """
    plain = unroll(body, Loop(runs, own_norms=own_norms), name=name)
    size = len(body.nodes) - 1
    nodes: list[Node] = [plain.nodes[0]]
    number = {0: 0}
    for index, node in enumerate(plain.nodes[1:], start=1):
        nodes.append(node)
        number[index] = len(nodes) - 1
        if index % size == 0 and index < len(plain.nodes) - 1:
            pool = Node("avg_pool2x2", stride=2, name=f"{name}.down{index // size}")
            nodes.append(pool)
    edges = [
        replace(
            edge,
            source=_behind_pool(edge.source, number, size),
            target=number[edge.target],
        )
        for edge in plain.edges
    ]
    edges += [Edge(number[end], number[end] + 1) for end in range(size, len(plain.nodes) - 1, size)]
    return replace(plain, nodes=tuple(nodes), edges=tuple(edges))


def _behind_pool(source: int, number: dict[int, int], size: int) -> int:
    """Return what stands for a node: the pooling behind it where it ends a run."""
    return number[source] + (source > 0 and source % size == 0)


def _check_shapes(body: Architecture) -> None:
    """Refuse a body that lowers the resolution; channels are compared when a network is built."""
    shapes = architecture_shapes(body)
    if shapes[0].sides != shapes[-1].sides:
        raise ArchitectureError(
            "The body changes the resolution of its input, so it cannot run twice at one scale.",
            why="Every run of a loop reads what the one before has made.",
            fix="Leave strides outside of the loop, or use recurse_over_scales.",
        )


class _Unrolled:
    """Nodes and edges of a loop under construction."""

    def __init__(self, body: Architecture, loop: Loop, name: str) -> None:
        self.body = body
        self.loop = loop
        self.name = name
        self.nodes: list[Node] = [body.nodes[0]]
        self.edges: list[Edge] = []

    def add_run(self, run: int) -> None:
        """Append one run of the body behind the last node."""
        start = self._entry(run)
        offset = len(self.nodes) - 1
        for index, node in enumerate(self.body.nodes[1:], start=1):
            self.nodes.append(self._node(node, index, run))
            for edge in self.body.inputs(index):
                source = start if edge.source == 0 else edge.source + offset
                self.edges.append(replace(edge, source=source, target=index + offset))
        if self.loop.residual:
            last = len(self.nodes) - 1
            self.nodes.append(Node(name=f"{self.name}.sum{run + 1}"))
            self.edges += [
                Edge(start, last + 1),
                Edge(last, last + 1, gain=self.loop.gain),
            ]
        if self.loop.exits and run < self.loop.runs - 1:
            self.nodes[-1] = replace(self.nodes[-1], exit=True)

    def _entry(self, run: int) -> int:
        """Return the state that a run reads; the input is added in front of all but the first."""
        last = len(self.nodes) - 1
        if run == 0 or not self.loop.inject:
            return last
        self.nodes.append(Node(name=f"{self.name}.in{run + 1}"))
        self.edges += [Edge(0, last + 1), Edge(last, last + 1)]
        return last + 1

    def _node(self, node: Node, index: int, run: int) -> Node:
        if self.loop.runs == 1:
            return node
        # A node's own tie may be any text, the number of another node too.
        tie = f"{self.name}.{index}" if node.tie is None else f"{self.name}.tie.{node.tie}"
        own = node.own_norms or (self.loop.own_norms and run > 0)
        label = f"{node.name}.run{run + 1}" if node.name else ""
        exit_here = node.exit and run == self.loop.runs - 1
        return replace(node, tie=tie, own_norms=own, name=label, exit=exit_here)
