"""Shape inference: from an architecture and an input shape to a plan of what to run.

The plan is the one place where adapters are decided; the compiler and the supernet build what it
says and the costs add it up. One rule gives every merge its shape: *the main input of a node is
its newest source (or the edge with the port `main`), and the other inputs are adapted to its
shape*. So which optional edges are on never changes the shape a node computes at. An edge first
takes its part of the channels, then adapts, then multiplies by its gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, final

from nas.errors import ArchitectureError
from nas.topology.facts import PLAIN, WHOLE, Gain, Part
from nas.topology.graph import Architecture, Edge, Node, by_importance
from nas.topology.layers import AbstractLayer, BatchNorm, Conv, Shape
from nas.topology.lookups import RESERVED_TRANSFORMS, edge_operation, node_merge, node_operation
from nas.topology.merges import MERGES, Merge
from nas.topology.operations import Operation
from nas.topology.scale_layer import Scale

AdapterKind = Literal[
    "identity", "resample", "resample_project", "project", "zero_pad", "operation"
]


@final
@dataclass(frozen=True)
class Adapter:
    """What happens to a tensor on an edge.

    Args:
        kind: `identity`; `resample` (adaptive average pooling down, bilinear up);
            `resample_project` (the same, then 1x1 convolution and batch norm); `project` (strided
            1x1 convolution and batch norm); `zero_pad` (subsampling, zeros for the new channels);
            `operation` (the edge computes `operation`).
        source: Shape of the tensor that is read.
        target: Shape after.
        operation: The operation of kind `operation`, else None.
        part: Which of how many equal groups of channels is taken first.
        gain: What the result is multiplied with.
    """

    kind: AdapterKind
    source: Shape
    target: Shape
    operation: Operation | None = None
    part: Part = WHOLE
    gain: Gain = PLAIN

    @property
    def identity(self) -> bool:
        """Whether the tensor passes unchanged."""
        return self.kind == "identity" and self.part == WHOLE and self.gain.identity

    @property
    def taken(self) -> Shape:
        """Return the shape of the part that is adapted."""
        return (self.source[0] // self.part[1], *self.source[1:])

    @property
    def adapted(self) -> Shape:
        """Return the shape in front of the layers, behind what has no weights."""
        if self.kind in ("project", "operation"):
            return self.taken
        if self.kind == "zero_pad":
            return self.target
        return (self.taken[0], *self.target[1:])

    @property
    def stride(self) -> int:
        """Return the subsampling factor of `project` and `zero_pad`."""
        return max(1, round(self.source[1] / self.target[1]))

    @property
    def layers(self) -> tuple[AbstractLayer, ...]:
        """Return the layers it runs, behind what has no weights: part, resampling, zero padding."""
        row: tuple[AbstractLayer, ...] = ()
        if self.operation is not None:
            row = self.operation.layers
        elif self.kind in ("project", "resample_project"):
            row = (Conv(strided=True, kernel=1), BatchNorm())
        return row if self.gain.identity else (*row, Scale(gain=self.gain))

    def parameters(self) -> int:
        """Return the trainable numbers."""
        own = Scale(gain=self.gain).parameters(self.target[0], self.target[0])
        if self.operation is not None:
            return own + self.operation.parameters(self.taken, self.target[0])
        if self.kind in ("project", "resample_project"):
            return own + self.taken[0] * self.target[0] + 2 * self.target[0]
        return own

    def macs(self) -> int:
        """Return the multiply-adds on one image."""
        if self.operation is not None:
            return self.operation.macs(self.taken, self.target[0])
        if self.kind in ("project", "resample_project"):
            return self.taken[0] * self.target[0] * self.target[1] * self.target[2]
        return 0


@final
@dataclass(frozen=True)
class InputStep:
    """One live edge into a node, and its adapter."""

    edge: Edge
    adapter: Adapter


@final
@dataclass(frozen=True)
class NodeStep:
    """Everything needed to run one node.

    Args:
        index: Number of the node.
        node: The node itself.
        inputs: Live edges (those whose operation is `none` are gone), oldest source first.
        merge: Its merge rule; of no effect with a single input.
        scale: `none`, `rsqrt` or `mean`, resolved.
        merged: Shape behind the merge.
        output: Shape behind the operation or cell.
        operation: None for the input node and for cells.
        cell: Plan of the nested architecture, if there is one.
    """

    index: int
    node: Node
    inputs: tuple[InputStep, ...]
    merge: Merge
    scale: str
    merged: Shape
    output: Shape
    operation: Operation | None = None
    cell: Plan | None = None

    @property
    def factor(self) -> float:
        """Return the scale's factor for the live in-degree."""
        degree = len(self.inputs)
        if degree < 2 or self.scale == "none":
            return 1.0
        return degree**-0.5 if self.scale == "rsqrt" else 1.0 / degree

    def merge_parameters(self) -> int:
        """Return the trainable numbers of the merge: none with a single input."""
        return self.merge.count(self.merged[0], len(self.inputs))

    def merge_macs(self) -> int:
        """Return the multiply-adds of the merge on one image."""
        return self.merge.macs(self.merged, len(self.inputs))


@final
@dataclass(frozen=True)
class Plan:
    """The steps of an architecture at one input shape, in topological order."""

    architecture: Architecture
    input_shape: Shape
    steps: tuple[NodeStep, ...]

    @property
    def output(self) -> Shape:
        """Return the shape of the last node's output."""
        return self.steps[-1].output


@lru_cache(maxsize=4096)
def plan(architecture: Architecture, input_shape: Shape) -> Plan:
    """Infer every shape of `architecture` for one input image.

    Args:
        architecture: The network.
        input_shape: `(channels, height, width)` of the input.

    Returns:
        The plan.

    Raises:
        ArchitectureError: If a node cannot be computed; the message names it and the way out.
    """
    if min(input_shape) < 1:
        raise ArchitectureError(
            f"Input shape {input_shape} has a side below 1.",
            fix="Give channels, height and width of an image, for example (3, 32, 32).",
        )
    steps: list[NodeStep] = []
    for index in range(len(architecture.nodes)):
        steps.append(_step(architecture, index, steps, input_shape))
    return Plan(architecture, input_shape, tuple(steps))


def _step(
    architecture: Architecture, index: int, steps: list[NodeStep], input_shape: Shape
) -> NodeStep:
    node = architecture.nodes[index]
    if index == 0:
        return NodeStep(0, node, (), MERGES.get(node.merge), "none", input_shape, input_shape)
    declared = node_merge(architecture, index)
    inputs = _inputs(architecture, index, steps, stacked=declared.weight == "stacked")
    rule = declared.at(len(inputs))
    _check_roles(architecture, index, rule, inputs)
    merged = _merged_shape(node, inputs, rule, input_shape)
    scale = rule.resolve_scale(node.scale)
    if node.cell is not None:
        _check_nested(architecture, index, node.cell)
        nested = plan(node.cell, merged)
        return NodeStep(index, node, inputs, rule, scale, merged, nested.output, None, nested)
    operation, output = _operation_output(architecture, index, merged)
    return NodeStep(index, node, inputs, rule, scale, merged, output, operation)


def _check_roles(
    architecture: Architecture, index: int, rule: Merge, inputs: tuple[InputStep, ...]
) -> None:
    """Refuse a merge all of whose inputs are masks."""
    roles = rule.input_roles([entry.edge.port for entry in inputs])
    if len(roles) > 1 and set(roles) == {"mask"}:
        raise ArchitectureError(
            f"{architecture.label(index)} merges by '{rule.name}', and all of its inputs have the "
            "port 'mask': there is nothing to mask.",
            fix="Give one of its edges the port 'default'.",
        )


def _check_nested(architecture: Architecture, index: int, cell: Architecture) -> None:
    inner = next((node for node in cell.nodes if node.exit), None)
    if inner is not None:
        raise ArchitectureError(
            f"{architecture.label(index)} holds a cell whose node '{inner.name}' is an exit.",
            why="Heads are added to the outermost nodes.",
            fix="Make the cell's own node the exit, or flatten the architecture.",
        )


def _merged_shape(
    node: Node, inputs: tuple[InputStep, ...], rule: Merge, input_shape: Shape
) -> Shape:
    if not inputs:  # only where zeros are allowed: the tensor of zeros looks like the cell's input
        return (node.width or input_shape[0], *input_shape[1:])
    shape = _main(inputs).adapter.target
    if rule.weight == "stacked":
        return (sum(entry.adapter.target[0] for entry in inputs), *shape[1:])
    return shape


def _main(inputs: tuple[InputStep, ...]) -> InputStep:
    """Return the input that gives a node its shape."""
    return next((entry for entry in inputs if entry.edge.port == "main"), inputs[-1])


def _inputs(
    architecture: Architecture, index: int, steps: list[NodeStep], *, stacked: bool
) -> tuple[InputStep, ...]:
    entries: list[InputStep] = []
    main: Shape | None = None
    for edge in by_importance(architecture.inputs(index)):
        source = steps[edge.source].output
        adapter = _adapter(architecture, edge, source, main, stacked)
        if adapter is None:
            continue
        main = main or adapter.target
        entries.append(InputStep(edge, adapter))
    return tuple(sorted(entries, key=lambda entry: entry.edge))


def _adapter(
    architecture: Architecture, edge: Edge, source: Shape, main: Shape | None, stacked: bool
) -> Adapter | None:
    """Choose the adapter of one edge; None for an edge that carries nothing."""
    taken = _taken(architecture, edge, source)
    if edge.transform not in RESERVED_TRANSFORMS:
        return _edge_operation(architecture, edge, source, taken, main)
    kind, target = _kind(edge, taken, main, stacked)
    adapter = Adapter(kind, source, target, None, edge.part, edge.gain)
    if kind in ("project", "zero_pad"):
        _check_stride(architecture, edge, adapter)
    return adapter


def _kind(edge: Edge, taken: Shape, main: Shape | None, stacked: bool) -> tuple[AdapterKind, Shape]:
    target = taken if main is None else (taken[0], *main[1:]) if stacked else main
    if taken == target:
        return "identity", target
    if edge.transform == "auto":
        return "resample" if taken[0] == target[0] else "resample_project", target
    return edge.transform, target  # type: ignore[return-value]


def _taken(architecture: Architecture, edge: Edge, source: Shape) -> Shape:
    """Return the shape of the part of its source that an edge carries."""
    count = edge.part[1]
    if source[0] % count:
        near = [c for c in (source[0] // count * count, -(-source[0] // count) * count) if c]
        raise ArchitectureError(
            f"{architecture.label(edge.target)}: the edge from node {edge.source} takes one of "
            f"{count} equal groups of {source[0]} channels, which {count} does not divide.",
            fix=f"Give {architecture.label(edge.source).lower()} "
            f"{' or '.join(map(str, near))} channels.",
        )
    return (source[0] // count, *source[1:])


def _check_stride(architecture: Architecture, edge: Edge, adapter: Adapter) -> None:
    """Refuse a projection or padding that no whole stride, or no added channel, brings about."""
    source, target = adapter.taken, adapter.target
    reached = tuple(-(-side // adapter.stride) for side in source[1:])
    if reached != target[1:]:
        raise ArchitectureError(
            f"{architecture.label(edge.target)}: the '{edge.transform}' edge from node "
            f"{edge.source} cannot turn {source} into {target} by a whole stride.",
            fix="Use the transform 'auto', which resamples to any resolution.",
        )
    if edge.transform == "zero_pad" and source[0] > target[0]:
        raise ArchitectureError(
            f"{architecture.label(edge.target)}: the 'zero_pad' edge from node {edge.source} "
            f"cannot turn {source[0]} channels into {target[0]}: padding only adds channels.",
            fix="Use the transform 'project' or 'auto'.",
        )


def _edge_operation(
    architecture: Architecture, edge: Edge, source: Shape, taken: Shape, main: Shape | None
) -> Adapter | None:
    operation = edge_operation(edge)
    if operation.zero:
        return None
    width = taken[0]
    node_width = architecture.nodes[edge.target].width
    if node_width is not None and not operation.keeps_channels:
        width = node_width
    place = f"{architecture.label(edge.target)}, the edge from node {edge.source}"
    target = _output(operation, taken, width, 1, place)
    if main is not None and target != main:
        raise ArchitectureError(
            f"{architecture.label(edge.target)}: '{edge.transform}' on the edge from node "
            f"{edge.source} gives {target}, the main input has {main}.",
            why="An operation on an edge keeps the resolution and is not adapted any further.",
            fix="Put the operation into a node of its own.",
        )
    return Adapter("operation", source, target, operation, edge.part, edge.gain)


def _operation_output(
    architecture: Architecture, index: int, merged: Shape
) -> tuple[Operation, Shape]:
    node = architecture.nodes[index]
    operation = node_operation(architecture, index)
    width = merged[0] if node.width is None else node.width
    if operation.keeps_channels and width != merged[0]:
        raise ArchitectureError(
            f"{architecture.label(index)}: '{node.operation}' keeps its {merged[0]} channels and "
            f"cannot give width {width}.",
            fix="Put a 'conv1x1' in front of it, or leave the width out.",
        )
    if node.stride > 1 and not operation.can_stride:
        raise ArchitectureError(
            f"{architecture.label(index)}: '{node.operation}' carries no stride, "
            f"but the node asks for stride {node.stride}.",
            fix="Use a convolution or a pooling, or stride 1.",
        )
    output = _output(operation, merged, width, node.stride, architecture.label(index))
    if min(output) < 1:
        raise ArchitectureError(
            f"{architecture.label(index)}: the resolution drops to {output[1]}x{output[2]} "
            f"from {merged[1]}x{merged[2]}.",
            fix="Use fewer strides or a larger input.",
        )
    return operation, output


def _output(operation: Operation, shape: Shape, width: int, stride: int, place: str) -> Shape:
    """Return the shape behind an operation; an error of a layer says where it stands."""
    try:
        return operation.shapes(shape, width, stride)[-1]
    except ArchitectureError as error:
        raise ArchitectureError(f"{place}: {error.what}", why=error.why, fix=error.fix) from None
