"""Shapes without an input shape: where an adapter is needed whatever the input looks like.

Ids must not depend on the input, yet which input of a node is the main one and which edges carry
an adapter follows from shapes. So every shape is computed for several inputs at once, as channels
over `INPUT_CHANNELS` and resolutions over `INPUT_SIDES`. Two shapes count as equal when they agree
at all of them. Shapes that agree at one input only (a width of 16 and an input that happens to
have 16 channels, or a stride at resolution 1) count as different: ids then tell apart what might
be told apart, and never the other way round.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, final

from nas.topology.graph import Architecture, Edge, Node, by_importance
from nas.topology.layers import AbstractLayer
from nas.topology.lookups import RESERVED_TRANSFORMS, edge_operation, node_merge, node_operation
from nas.topology.merges import Merge
from nas.topology.operations import Operation

INPUT_CHANNELS = (2, 101, 10_007)
INPUT_SIDES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 31, 32, 33, 97, 224, 1_023, 4_096, 65_537, 1_000_003)


@final
class SymbolicShape(NamedTuple):
    """Channels and side of a tensor, for each of the probing inputs."""

    channels: tuple[int, ...]
    sides: tuple[int, ...]


@final
class SymbolicInput(NamedTuple):
    """One edge into a node.

    `kind` is that of `nas.cost.shapes.Adapter`, or `none` for an edge that carries nothing; it
    tells what happens between the edge's part and its gain.
    """

    edge: Edge
    kind: str
    target: SymbolicShape
    operation: Operation | None = None


@final
class SymbolicStep(NamedTuple):
    """One node: its edges (oldest source first), its merge, and the shapes around its operation.

    `degree` is the number of edges that carry something; `operation` is None for a cell.
    """

    inputs: list[SymbolicInput]
    degree: int
    rule: Merge
    merged: SymbolicShape
    output: SymbolicShape
    operation: Operation | None


INPUT_SHAPE = SymbolicShape(INPUT_CHANNELS, INPUT_SIDES)


def symbolic_step(
    architecture: Architecture,
    index: int,
    outputs: list[SymbolicShape],
    input_shape: SymbolicShape,
) -> SymbolicStep:
    """Infer the shapes of node `index` from the outputs of the nodes before it.

    The output of a node that is a cell is left to the caller: it is given as the merged shape.

    Raises:
        ArchitectureError: If the operation, the merge or a transform is unknown.
    """
    node = architecture.nodes[index]
    rule = node_merge(architecture, index)
    stacked = rule.weight == "stacked"
    main: SymbolicShape | None = None
    inputs = []
    degree = 0
    for edge in by_importance(architecture.inputs(index)):
        source = _part(outputs[edge.source], edge.part[1])
        entry = _symbolic_input(architecture, edge, source, main, stacked)
        inputs.append(entry)
        if entry.kind != "none":
            main = main or entry.target
            degree += 1
    inputs.sort(key=lambda entry: entry.edge)
    merged = _merged(node, inputs, stacked, main, input_shape)
    rule = rule.at(degree)
    if node.cell is not None:
        return SymbolicStep(inputs, degree, rule, merged, merged, None)
    operation = node_operation(architecture, index)
    output = operation_output(operation, merged, node.width, node.stride)
    return SymbolicStep(inputs, degree, rule, merged, output, operation)


def architecture_shapes(
    architecture: Architecture, input_shape: SymbolicShape = INPUT_SHAPE
) -> list[SymbolicShape]:
    """Return the output shape of every node.

    Raises:
        ArchitectureError: If an operation, merge or transform is unknown.
    """
    shapes = [input_shape]
    for index in range(1, len(architecture.nodes)):
        step = symbolic_step(architecture, index, shapes, input_shape)
        cell = architecture.nodes[index].cell
        shapes.append(step.output if cell is None else architecture_shapes(cell, step.merged)[-1])
    return shapes


def _merged(
    node: Node,
    inputs: list[SymbolicInput],
    stacked: bool,
    main: SymbolicShape | None,
    input_shape: SymbolicShape,
) -> SymbolicShape:
    if main is None:  # zeros, with the shape that `nas.cost` gives them
        width = node.width
        channels = input_shape.channels if width is None else (width,) * len(INPUT_CHANNELS)
        return SymbolicShape(channels, input_shape.sides)
    if not stacked:
        return main
    columns = [entry.target.channels for entry in inputs if entry.kind != "none"]
    return SymbolicShape(tuple(map(sum, zip(*columns, strict=True))), main.sides)


def _part(shape: SymbolicShape, count: int) -> SymbolicShape:
    """Return the shape of one of several groups of channels."""
    if count == 1:
        return shape
    return SymbolicShape(tuple(number // count for number in shape.channels), shape.sides)


def _symbolic_input(
    architecture: Architecture,
    edge: Edge,
    source: SymbolicShape,
    main: SymbolicShape | None,
    stacked: bool,
) -> SymbolicInput:
    """Choose the adapter by the rule of `nas.cost`: the newest live source sets the shape."""
    if edge.transform not in RESERVED_TRANSFORMS:
        return _edge_operation(architecture, edge, source)
    if main is None or main == source:
        return SymbolicInput(edge, "identity", source)
    target = SymbolicShape(source.channels, main.sides) if stacked else main
    if source == target:
        return SymbolicInput(edge, "identity", source)
    if edge.transform != "auto":
        return SymbolicInput(edge, edge.transform, target)
    kind = "resample" if source.channels == target.channels else "resample_project"
    return SymbolicInput(edge, kind, target)


def _edge_operation(architecture: Architecture, edge: Edge, source: SymbolicShape) -> SymbolicInput:
    operation = edge_operation(edge)
    if operation.zero:
        return SymbolicInput(edge, "none", source)
    if operation.identity:
        return SymbolicInput(edge, "identity", source)
    width = None if operation.keeps_channels else architecture.nodes[edge.target].width
    target = operation_output(operation, source, width, 1)
    return SymbolicInput(edge, "operation", target, operation)


def operation_output(
    operation: Operation, shape: SymbolicShape, width: int | None, stride: int
) -> SymbolicShape:
    """Return the shape behind an operation; `width` None keeps the channels."""
    if not operation.layers:
        return shape
    return _output(operation.name, operation.layers, shape, width, stride)


@lru_cache(maxsize=16_384)
def _output(
    name: str,  # first, so that unequal keys differ early
    layers: tuple[AbstractLayer, ...],
    shape: SymbolicShape,
    width: int | None,
    stride: int,
) -> SymbolicShape:
    channels = []
    for count in shape.channels:
        out_width = count if width is None else width
        for layer in layers:
            count = layer.channels(count, out_width)
        channels.append(count)
    sides = []
    for side in shape.sides:
        for layer in layers:
            side = max(0, layer.resolution(side, stride))
        sides.append(side)
    return SymbolicShape(tuple(channels), tuple(sides))


@lru_cache(maxsize=16_384)
def shape_text(shape: SymbolicShape) -> str:
    """Write a shape for the label of a vertex."""
    return f"{channels_text(shape.channels)}@{_series(shape.sides, INPUT_SIDES)}"


@lru_cache(maxsize=16_384)
def channels_text(channels: tuple[int, ...]) -> str:
    """Write a number of channels: a number where it is known, else its values at the probes."""
    return _series(channels, INPUT_CHANNELS)


def _series(values: tuple[int, ...], inputs: tuple[int, ...]) -> str:
    if values == inputs:
        return "input"
    return str(values[0]) if len(set(values)) == 1 else "/".join(map(str, values))
