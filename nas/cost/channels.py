"""Channels as units: which numbers of a network belong to one channel, layer by layer.

The tensor behind every layer is a row of units, one per channel. A convolution makes new ones; a
norm, a pooling or a depthwise convolution hands on what it reads; a stack puts rows side by side;
zero padding appends new units; an edge that carries a part cuts a row. Units that must be kept or
dropped together are coupled: those that meet in a sum, those at equal places of the groups of a
convolution or of parts of a tensor, those of tied nodes, and those whose numbers a shape rule
holds together (all inputs of a merge have equal channels; an expansion is a multiple).
`nas.cost.channel_groups` makes groups of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nas.cost.shapes import Adapter, NodeStep, Plan
from nas.topology.facts import WHOLE
from nas.topology.layers import (
    GELU,
    AbstractLayer,
    Affine,
    BatchNorm,
    ChannelShuffle,
    Conv,
    DepthwiseConv,
    Dropout,
    EffectiveSqueezeExcite,
    GlobalPool,
    Hardsigmoid,
    Hardswish,
    LayerNorm,
    LeakyReLU,
    Mish,
    Pool,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    SqueezeExcite,
    TokenLinear,
    Upsample,
)
from nas.topology.scale_layer import Scale

Units = NDArray[np.int64]
"""One number per channel of a tensor."""

_HANDS_ON = (
    *(GELU, Hardsigmoid, Hardswish, LeakyReLU, Mish, ReLU, ReLU6, Sigmoid, SiLU),
    *(Affine, BatchNorm, LayerNorm, Scale),
    *(DepthwiseConv, GlobalPool, Pool, TokenLinear, Upsample),
    *(Dropout, EffectiveSqueezeExcite, SqueezeExcite),
)
"""Layers whose output channel `i` stands for their input channel `i`."""


@final
@dataclass(frozen=True)
class Use:
    """What a layer, merge or head reads and writes, in units; `layer` where it is a layer."""

    reads: Units
    writes: Units
    layer: AbstractLayer | None = None


@final
@dataclass(frozen=True)
class NodeUnits:
    """The rows of one node.

    Args:
        merged: Behind the merge.
        output: Behind the operation or cell.
        width: The row that has as many channels as the node's width says; None where the width
            says nothing about this node.
    """

    merged: Units
    output: Units
    width: Units | None


@final
@dataclass
class Channels:
    """The units of a network.

    Args:
        origins: Per unit, the place of the layer that makes it; "" for those of the image.
        uses: By place: `nodes.3.operation.0`, `nodes.3.adapters.1.0`, `nodes.3.merge`, `head`,
            `exits.4`; inside of a cell `nodes.3.cell.` stands in front.
        nodes: By place of the node, `nodes.3`.
        names: By place of the node, what to call it.
        couples: Pairs of rows whose units at equal places are coupled.
        whole: Rows that nothing can be dropped from.
    """

    origins: list[str] = field(default_factory=list)
    uses: dict[str, Use] = field(default_factory=dict)
    nodes: dict[str, NodeUnits] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    couples: list[tuple[Units, Units]] = field(default_factory=list)
    whole: list[Units] = field(default_factory=list)

    def make(self, count: int, place: str) -> Units:
        """Return a row of new units."""
        start = len(self.origins)
        self.origins += [place] * count
        return np.arange(start, start + count)

    def couple(self, first: Units, second: Units) -> None:
        """Keep or drop the units at equal places together."""
        if len(first) != len(second):  # equal definitions at different widths: leave both whole
            self.whole += [first, second]
        elif first is not second:
            self.couples.append((first, second))

    def couple_blocks(self, row: Units, count: int) -> None:
        """Keep or drop the units at equal places of `count` equal blocks together."""
        blocks = row.reshape(count, -1)
        for block in blocks[1:]:
            self.couple(blocks[0], block)

    def sets(self) -> Units:
        """Return, per unit, the number of the set of coupled units it is in."""
        count = len(self.origins)
        empty = np.zeros(0, dtype=np.int64)
        first = np.concatenate([empty, *(pair[0] for pair in self.couples)])
        second = np.concatenate([empty, *(pair[1] for pair in self.couples)])
        links = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), (count, count))
        labels = connected_components(links, directed=False)[1]
        return np.asarray(labels, dtype=np.int64)


def channels(schedule: Plan) -> Channels:
    """Return the units of a whole network, its heads included."""
    found = Channels()
    image = found.make(schedule.input_shape[0], "")
    found.whole.append(image)
    last = _trace(found, schedule, image, "")
    if schedule.architecture.head == "none":
        found.whole.append(last)
    else:
        found.uses["head"] = Use(last, np.zeros(0, dtype=np.int64))
    for index, node in enumerate(schedule.architecture.nodes):
        if node.exit:
            output = found.nodes[f"nodes.{index}"].output
            found.uses[f"exits.{index}"] = Use(output, np.zeros(0, dtype=np.int64))
    return found


def _trace(found: Channels, schedule: Plan, given: Units, prefix: str, name: str = "") -> Units:
    """Follow a plan whose input is the row `given`; return the row of its output."""
    rows = [given]
    shared: dict[str, str] = {}
    for step in schedule.steps[1:]:
        place = f"{prefix}nodes.{step.index}"
        found.names[place] = f"{name}{step.node.name or step.index}"
        rows.append(_trace_node(found, step, rows, place))
        node = step.node
        # Nodes of one tie share their weights, those of one motif their definition.
        for key in (node.tie and f"tie {node.tie}", node.motif and f"motif {node.motif}"):
            if key:
                _couple_places(found, shared.setdefault(key, place), place)
    return rows[-1]


def _couple_places(found: Channels, first: str, second: str) -> None:
    """Couple the operations or cells of two nodes, layer by layer."""
    if first == second:
        return
    mine, theirs = found.nodes[first], found.nodes[second]
    found.couple(mine.merged, theirs.merged)
    found.couple(mine.output, theirs.output)
    for place, use in list(found.uses.items()):
        for part in (".operation.", ".cell."):
            other = place.replace(first, second, 1)
            if place.startswith(first + part) and other in found.uses:
                found.couple(use.reads, found.uses[other].reads)
                found.couple(use.writes, found.uses[other].writes)


def _trace_node(found: Channels, step: NodeStep, rows: list[Units], place: str) -> Units:
    inputs = []
    edge_widths: list[tuple[Units, Units]] = []
    for position, entry in enumerate(step.inputs):
        where = f"{place}.adapters.{position}"
        taken = _taken(found, entry.adapter, rows[entry.edge.source])
        row, width = _trace_adapter(found, entry.adapter, taken, where)
        inputs.append(row)
        if entry.adapter.operation is not None and width is not None:
            edge_widths.append((taken, width))
        elif width is not None and step.merge.weight == "stacked":
            found.couple(taken, width)  # what is stacked keeps its channels
    merged = _trace_merge(found, step, inputs, rows[0], place)
    output, width = _trace_computed(found, step, merged, place)
    if not step.inputs and step.node.width is not None:
        # The node's width is also that of the zeros.
        found.whole += [merged] if width is None else []
        found.couple(merged, merged if width is None else width)
    _settle_edge_widths(found, step, edge_widths, merged, width)
    found.nodes[place] = NodeUnits(merged, output, width)
    return output


def _trace_computed(
    found: Channels, step: NodeStep, merged: Units, place: str
) -> tuple[Units, Units | None]:
    """Follow the operation or cell; return the output and the row that has the node's width."""
    if step.cell is not None:
        name = f"{found.names[place]}/"
        return _trace(found, step.cell, merged, f"{place}.cell.", name), None
    assert step.operation is not None
    layers = step.operation.layers
    output, width = _trace_row(found, layers, merged, step.output[0], f"{place}.operation")
    return output, merged if step.operation.keeps_channels else width


def _settle_edge_widths(
    found: Channels,
    step: NodeStep,
    rows: list[tuple[Units, Units]],
    merged: Units,
    width: Units | None,
) -> None:
    """Hold together what one width says: operations on edges read that of their node, too.

    Args:
        found: The units.
        step: The node.
        rows: Per operation on an edge, what it reads and the row of its width.
        merged: Behind the merge.
        width: Row of the node's own width.
    """
    for taken, row in rows:
        if step.node.width is None:  # it stays unsaid: everybody keeps the channels they read
            found.couple(taken, row)
            found.couple(merged, merged if width is None else width)
        elif width is None:
            found.whole.append(row)
        else:
            found.couple(row, width)


def _taken(found: Channels, adapter: Adapter, row: Units) -> Units:
    """Return the part of a row that an edge carries."""
    if adapter.part == WHOLE:
        return row
    index, count = adapter.part
    found.couple_blocks(row, count)
    part: Units = row.reshape(count, -1)[index]
    return part


def _trace_adapter(
    found: Channels, adapter: Adapter, row: Units, place: str
) -> tuple[Units, Units | None]:
    """Follow an adapter behind its part; return the last row and the one of its width, if any."""
    fixed = int(adapter.part != WHOLE)
    if adapter.kind == "zero_pad":
        fixed += 1
        row = np.concatenate([row, found.make(adapter.target[0] - len(row), f"{place}.zeros")])
    elif adapter.kind in ("resample", "resample_project"):
        fixed += adapter.taken[1:] != adapter.target[1:]
    return _trace_row(found, adapter.layers, row, adapter.target[0], place, fixed)


def _trace_merge(
    found: Channels, step: NodeStep, inputs: list[Units], given: Units, place: str
) -> Units:
    if not inputs:  # zeros
        return given if step.node.width is None else found.make(step.node.width, f"{place}.zeros")
    if len(inputs) == 1:
        return inputs[0]
    if step.merge.weight == "stacked":
        merged = np.concatenate(inputs)
        main = [entry.edge.port == "main" for entry in step.inputs]
        first = inputs[main.index(True) if any(main) else -1]
        for entry, row in zip(step.inputs, inputs, strict=True):
            if entry.adapter.operation is not None:  # must give what the main input has
                found.couple(first, row)
    else:
        merged = inputs[-1]
        for row in inputs[:-1]:
            found.couple(merged, row)
    if step.merge.weight == "module" and not step.merge.by_channel:
        found.whole.append(merged)
    found.uses[f"{place}.merge"] = Use(merged, merged)
    return merged


def _trace_row(
    found: Channels,
    layers: tuple[AbstractLayer, ...],
    row: Units,
    node_width: int,
    place: str,
    offset: int = 0,
) -> tuple[Units, Units | None]:
    """Follow layers; return the last row and the first one that has the node's width, if any."""
    width: Units | None = None
    for position, layer in enumerate(layers, start=offset):
        where = f"{place}.{position}"
        written = _trace_layer(found, layer, row, node_width, where)
        if isinstance(layer, Conv) and layer.expand is None and layer.own_width is None:
            if width is None:
                width = written
            else:
                found.couple(width, written)
        found.uses[where] = Use(row, written, layer)
        row = written
    return row, width


def _trace_layer(
    found: Channels, layer: AbstractLayer, row: Units, width: int, place: str
) -> Units:
    if isinstance(layer, Conv):
        return _trace_convolution(found, layer, row, width, place)
    if isinstance(layer, ChannelShuffle):
        found.couple_blocks(row, layer.groups)
        return np.concatenate(list(row.reshape(layer.groups, -1).T))
    if isinstance(layer, _HANDS_ON):
        return row
    written = found.make(layer.channels(len(row), width), place)
    found.whole += [row, written]  # a layer of a plugin: nobody knows what it does to channels
    return written


def _trace_convolution(found: Channels, layer: Conv, row: Units, width: int, place: str) -> Units:
    written = found.make(layer.channels(len(row), width), place)
    if layer.groups > 1:
        found.couple_blocks(row, layer.groups)
        found.couple_blocks(written, layer.groups)
    if layer.own_width is not None:
        found.whole.append(written)
    if layer.expand is not None:
        for multiple in written.reshape(layer.expand, -1):
            found.couple(row, multiple)
    return written
