"""Parameters, multiply-adds, bytes moved and critical path of an architecture, by arithmetic.

Multiply-adds (MACs) count convolutions and matrix products, adapters and the head included, on
one image. Bytes count each tensor once where it is written and once per reader, weights once, in
float32. Nodes tied to one another own one set of weights, norms apart where a node keeps its own.
The head of an exit has parameters, but no multiply-adds: it runs only when it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import prod
from typing import final

from nas.cost.shapes import InputStep, NodeStep, Plan, plan
from nas.errors import ArchitectureError
from nas.topology.graph import Architecture
from nas.topology.layers import AbstractNorm, Shape

BYTES = 4
"""Bytes of one number in float32."""


@final
@dataclass(frozen=True)
class NodeCost:
    """Cost of one node with its edges and its merge, on one image."""

    name: str
    parameters: int
    macs: int
    bytes: int


@final
@dataclass(frozen=True)
class Cost:
    """Cost of a whole network, on one image.

    Args:
        parameters: Trainable numbers.
        macs: Multiply-adds.
        bytes: Bytes moved in float32.
        critical_path: Multiply-adds on the most expensive path from input to output.
        depth: Parametric operations on the longest path.
        nodes: The same by node, then the heads of exits, the head of the network last.
    """

    parameters: int
    macs: int
    bytes: int
    critical_path: int
    depth: int
    nodes: tuple[NodeCost, ...]


def cost(architecture: Architecture, input_shape: Shape, num_classes: int) -> Cost:
    """Count a network with its heads: global average pooling and a linear classifier each.

    Args:
        architecture: The network.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of the classifier.

    Raises:
        ArchitectureError: If a shape is impossible or tied nodes differ in shape.
    """
    schedule = plan(architecture, input_shape)
    nodes = list(plan_costs(schedule))
    critical, depth = _longest(schedule, nodes)
    nodes += _exit_costs(schedule, num_classes)
    if architecture.head != "none":
        width = schedule.output[0]
        moved = BYTES * (prod(schedule.output) + width * num_classes + 2 * num_classes)
        parameters = head_parameters(width, num_classes)
        nodes.append(NodeCost("head", parameters, width * num_classes, moved))
        critical += width * num_classes
    return Cost(
        parameters=sum(node.parameters for node in nodes),
        macs=sum(node.macs for node in nodes),
        bytes=sum(node.bytes for node in nodes),
        critical_path=critical,
        depth=depth,
        nodes=tuple(nodes),
    )


def head_parameters(width: int, num_classes: int) -> int:
    """Return the trainable numbers of a linear classifier."""
    return width * num_classes + num_classes


def exit_nodes(architecture: Architecture) -> tuple[int, ...]:
    """Return the nodes with a head of their own; the last node has the network's."""
    return tuple(index for index, node in enumerate(architecture.nodes[:-1]) if node.exit)


def _exit_costs(schedule: Plan, num_classes: int) -> list[NodeCost]:
    return [
        NodeCost(
            f"exit {node_name(schedule, index)}",
            head_parameters(schedule.steps[index].output[0], num_classes),
            0,
            0,
        )
        for index in exit_nodes(schedule.architecture)
    ]


def node_name(schedule: Plan, index: int) -> str:
    """Return the node's own name, or `nodeN`."""
    return schedule.architecture.nodes[index].name or f"node{index}"


def plan_costs(schedule: Plan) -> tuple[NodeCost, ...]:
    """Return the cost of every node of a plan; tied weights count at their first node."""
    first: dict[str, NodeStep] = {}
    normed: set[str] = set()
    costs = []
    for step in schedule.steps:
        own = _operation_parameters(step)
        tie = step.node.tie
        if tie is not None:
            holder = first.setdefault(tie, step)
            _check_tie(schedule, holder, step)
            if holder is not step:
                apart = step.node.own_norms or tie not in normed
                own = norm_parameters(step) if apart else 0
            if not step.node.own_norms:
                normed.add(tie)
        costs.append(_node_cost(step, node_name(schedule, step.index), own))
    return tuple(costs)


def _check_tie(schedule: Plan, first: NodeStep, step: NodeStep) -> None:
    """Refuse to share weights between nodes whose weights differ in number or in meaning."""
    label, other = schedule.architecture.label(step.index), node_name(schedule, first.index)
    here = f"{label} is tied to '{other}'"
    if (first.operation, first.node.cell) != (step.operation, step.node.cell):
        names = [
            "a cell" if one.operation is None else f"'{one.operation.name}'"
            for one in (step, first)
        ]
        raise ArchitectureError(
            f"{here} but computes {names[0]}, not "
            f"{'the same cell' if names[0] == names[1] else names[1]}.",
            fix="Tie only nodes of one operation, or with equal cells.",
        )
    if first is not step and (first.merged[0], first.output[0]) != (step.merged[0], step.output[0]):
        raise ArchitectureError(
            f"{here} but maps {step.merged[0]} to {step.output[0]} channels, not "
            f"{first.merged[0]} to {first.output[0]}.",
            fix="Tie only nodes of equal widths.",
        )
    if _operation_parameters(first) != _operation_parameters(step):
        raise ArchitectureError(
            f"{here} but runs at {step.merged[1]}x{step.merged[2]}, not at "
            f"{first.merged[1]}x{first.merged[2]}, where it has another number of weights.",
            fix="Tie only nodes of one resolution.",
        )


def _node_cost(step: NodeStep, name: str, own_parameters: int) -> NodeCost:
    adapters = [entry.adapter for entry in step.inputs]
    parameters = own_parameters + step.merge_parameters()
    parameters += sum(adapter.parameters() for adapter in adapters)
    macs = step.merge_macs() + sum(adapter.macs() for adapter in adapters)
    moved = sum(prod(adapter.source) for adapter in adapters)
    moved += sum(2 * prod(adapter.target) for adapter in adapters if not adapter.identity)
    moved += prod(step.merged) if len(step.inputs) > 1 else 0
    if step.operation is not None:
        macs += step.operation.macs(step.merged, step.output[0], step.node.stride)
        shapes = step.operation.shapes(step.merged, step.output[0], step.node.stride)
        moved += sum(2 * prod(shape) for shape in shapes[1:])
    nested = 0
    if step.cell is not None:
        inner = _cell_costs(step.cell.architecture, step.cell.input_shape)
        macs += sum(node.macs for node in inner)
        # Activations only: the weights are among this node's own parameters, once if tied.
        nested = sum(node.bytes - BYTES * node.parameters for node in inner)
    return NodeCost(name, parameters, macs, BYTES * (moved + parameters) + nested)


def _operation_parameters(step: NodeStep) -> int:
    if step.cell is not None:
        inner = _cell_costs(step.cell.architecture, step.cell.input_shape)
        return sum(node.parameters for node in inner)
    if step.operation is None:
        return 0
    return step.operation.parameters(step.merged, step.output[0], step.node.stride)


def norm_parameters(step: NodeStep) -> int:
    """Return the trainable numbers of the norms of an operation, or of all that a cell holds."""
    if step.cell is not None:
        return sum(_inner_norms(inner) for inner in step.cell.steps)
    if step.operation is None:
        return 0
    shapes = step.operation.shapes(step.merged, step.output[0], step.node.stride)
    return sum(
        layer.parameters(shape[0], step.output[0])
        for layer, shape in zip(step.operation.layers, shapes, strict=False)
        if isinstance(layer, AbstractNorm)
    )


def _inner_norms(step: NodeStep) -> int:
    adapters = [entry.adapter for entry in step.inputs]
    projected = [each for each in adapters if each.kind in ("project", "resample_project")]
    return norm_parameters(step) + sum(2 * adapter.target[0] for adapter in projected)


@lru_cache(maxsize=4096)
def _cell_costs(cell: Architecture, input_shape: Shape) -> tuple[NodeCost, ...]:
    """Count a cell once: without a memory each level of nesting would count it several times."""
    return plan_costs(plan(cell, input_shape))


@lru_cache(maxsize=4096)
def _cell_longest(cell: Architecture, input_shape: Shape) -> tuple[int, int]:
    return _longest(plan(cell, input_shape), _cell_costs(cell, input_shape))


def _longest(schedule: Plan, costs: Sequence[NodeCost]) -> tuple[int, int]:
    """Return the MACs of the most expensive path and the operations of the longest one."""
    reach: list[int] = []
    depths: list[int] = []
    for step in schedule.steps:
        macs = costs[step.index].macs
        own = int(step.operation is not None and step.operation.parametric)
        if step.cell is not None:
            cell = (step.cell.architecture, step.cell.input_shape)
            inner, own = _cell_longest(*cell)
            macs += inner - sum(node.macs for node in _cell_costs(*cell))
        reach.append(max((reach[entry.edge.source] for entry in step.inputs), default=0) + macs)
        depths.append(max(map(partial(_depth_through, depths), step.inputs), default=0) + own)
    return reach[-1], depths[-1]


def _depth_through(depths: list[int], entry: InputStep) -> int:
    operation = entry.adapter.operation
    return depths[entry.edge.source] + int(operation is not None and operation.parametric)
