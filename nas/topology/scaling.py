"""Scaling: a found network made deeper, wider, or run on larger images, by rules.

A network is cut where all its paths meet. What lies between two such places is a *block*; blocks
that keep the shape and compute something can stand there more often, those that change it cannot.
Depth repeats the blocks of every stage in turn, width multiplies the channels of every node, and
the resolution is that of the images, which an architecture does not hold. Nothing depends on names.

Compound scaling raises all three together (Tan and Le 2019, EfficientNet, arXiv:1905.11946).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from nas.errors import ArchitectureError, ConfigError
from nas.registry import Paper, suggest
from nas.topology.graph import MAX_NODES, Architecture, Edge, Node
from nas.topology.layers import Shape
from nas.topology.operations import OPERATIONS
from nas.topology.symbolic import SymbolicShape, architecture_shapes

LARGEST_FACTOR = 100.0
LARGEST_WIDTH = 65_536
DIVISOR = 8
_OWN_WIDTH = re.compile(r"\.w(\d+)")
_PROBE: Shape = (8, 8, 8)


@final
@dataclass(frozen=True)
class CompoundRule:
    """How depth, width and resolution grow together: each factor to the power phi.

    Args:
        depth: Factor of the depth for phi = 1.
        width: Of the width.
        resolution: Of the resolution.
        paper: Source.
    """

    depth: float
    width: float
    resolution: float
    paper: Paper

    @property
    def cost_factor(self) -> float:
        """Factor of the multiply-adds for phi = 1: depth width^2 resolution^2."""
        return self.depth * self.width**2 * self.resolution**2


COMPOUND_RULES: Final = {
    "efficientnet": CompoundRule(1.2, 1.1, 1.15, Paper("Tan and Le", 2019, arxiv="1905.11946")),
}


def scale_compound(
    architecture: Architecture,
    input_shape: Shape,
    phi: float,
    *,
    rule: str = "efficientnet",
    divisor: int = DIVISOR,
) -> tuple[Architecture, Shape]:
    """Return the network and the image size for about `2^phi` times the multiply-adds.

    Args:
        architecture: The network for phi = 0.
        input_shape: `(channels, height, width)` of its images.
        phi: The exponent; negative ones make the network smaller.
        rule: Name in `COMPOUND_RULES`.
        divisor: As in `scale_width`.

    Raises:
        ConfigError: If the rule is unknown or a factor is out of range.
        ArchitectureError: If the network cannot be scaled.
    """
    if rule not in COMPOUND_RULES:
        near = suggest(rule, list(COMPOUND_RULES))
        raise ConfigError(
            f"There is no scaling rule '{rule}'.",
            fix=(f"Did you mean '{near}'? " if near else "")
            + f"Known rules: {', '.join(COMPOUND_RULES)}.",
        )
    chosen = COMPOUND_RULES[rule]
    _check_factor("phi", phi, -20.0, 20.0)
    deeper = scale_depth(architecture, chosen.depth**phi)
    wider = scale_width(deeper, chosen.width**phi, divisor=divisor)
    return wider, scale_resolution(input_shape, chosen.resolution**phi)


def scale_resolution(input_shape: Shape, factor: float) -> Shape:
    """Return the shape of images whose sides are multiplied, rounded up.

    Raises:
        ConfigError: If the factor is out of range.
    """
    _check_factor("resolution", factor)
    channels, height, width = input_shape
    return (channels, math.ceil(height * factor - 1e-9), math.ceil(width * factor - 1e-9))


def scale_width(
    architecture: Architecture, factor: float, *, divisor: int = DIVISOR
) -> Architecture:
    """Return the network with the channels of every node multiplied.

    Widths are rounded to the nearest multiple of the divisor, but never to less than nine tenths of
    what was asked for. Widths inside of written operations (`.w64`) and of nested cells follow.

    Args:
        architecture: The network.
        factor: What widths are multiplied with; 1 changes nothing.
        divisor: What the new widths are multiples of.

    Raises:
        ConfigError: If the factor or the divisor is out of range, or a width would be too large.
    """
    _check_factor("width", factor)
    if divisor < 1:
        raise ConfigError(f"The divisor is {divisor}; it must be at least 1.")
    if factor == 1.0:
        return architecture
    nodes = tuple(_widened(node, factor, divisor) for node in architecture.nodes)
    return replace(architecture, nodes=nodes)


def rounded_width(width: int, factor: float, divisor: int = DIVISOR) -> int:
    """Return a multiplied width as `scale_width` rounds it.

    Raises:
        ConfigError: If it would be too large.
    """
    wanted = width * factor
    if wanted > LARGEST_WIDTH:
        raise ConfigError(
            f"A width of {width} times {factor:g} is beyond {LARGEST_WIDTH} channels.",
            fix=f"The largest factor for it is {LARGEST_WIDTH / width:.3g}.",
        )
    near = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * wanted else near


def _widened(node: Node, factor: float, divisor: int) -> Node:
    width = None if node.width is None else rounded_width(node.width, factor, divisor)
    cell = None if node.cell is None else scale_width(node.cell, factor, divisor=divisor)

    def own_width(found: re.Match[str]) -> str:
        return f".w{rounded_width(int(found[1]), factor, divisor)}"

    return replace(
        node, width=width, cell=cell, operation=_OWN_WIDTH.sub(own_width, node.operation)
    )


def scale_depth(architecture: Architecture, factor: float) -> Architecture:
    """Return the network with the blocks of every stage repeated, or some of them left out.

    A stage of m blocks gets `ceil(m * factor)`, at least one: its own in turn, so that a found
    order of blocks is kept up. A block at the stage's entry that differs from them in nothing but
    stride and width counts, and stays single. Copies share a tie with what they copy, and are no
    exits. Gains that depend on depth are copied as they are.

    Args:
        architecture: The network.
        factor: What the number of blocks is multiplied with; 1 changes nothing.

    Raises:
        ConfigError: If the factor is out of range.
        ArchitectureError: If no block can be repeated, or the result would have too many nodes.
    """
    _check_factor("depth", factor)
    if factor == 1.0:
        return architecture
    stages = list(_stages(architecture))
    if not any(stage.blocks for stage in stages):
        raise ArchitectureError(
            "No part of this network can be repeated: every one of them changes the shape.",
            why="Depth is scaled by repeating blocks whose output is shaped as their input.",
            fix="Scale the width, or build the network with a larger depth.",
        )
    size = 1
    for stage in stages:
        for block, _ in stage.repeated(factor):
            size += block.size
            if size > MAX_NODES:
                raise ArchitectureError(
                    f"A depth factor of {factor:g} makes more than {MAX_NODES} nodes.",
                    fix="Choose a smaller factor.",
                )
    nodes: list[Node] = [architecture.nodes[0]]
    edges: list[Edge] = []
    for stage in stages:
        for block, copy in stage.repeated(factor):
            _append(nodes, edges, architecture, block, copy)
    return replace(architecture, nodes=tuple(nodes), edges=tuple(edges))


@final
@dataclass(frozen=True)
class _Block:
    """The nodes behind node `start` up to node `end`, which all paths run through."""

    start: int
    end: int
    signature: tuple[Any, ...]
    repeatable: bool

    @property
    def size(self) -> int:
        return self.end - self.start


@final
@dataclass(frozen=True)
class _Stage:
    """Blocks that cannot be repeated, then a run of those that can."""

    entry: tuple[_Block, ...]
    blocks: tuple[_Block, ...]

    def repeated(self, factor: float) -> Iterator[tuple[_Block, int]]:
        """Return the blocks of the scaled stage, each with how often it was there before."""
        yield from ((block, 0) for block in self.entry)
        if not self.blocks:
            return
        own = len(self.blocks)
        # A block that reads the image is the stem, which is there once however deep a network is.
        before = self.entry[-1] if self.entry and self.entry[-1].start else None
        counted = before is not None and before.signature == self.blocks[0].signature
        wanted = math.ceil((own + counted) * factor - 1e-9) - counted
        for number in range(max(wanted, 0 if counted else 1)):
            yield self.blocks[number % own], number // own


def _stages(architecture: Architecture) -> Iterator[_Stage]:
    entry: list[_Block] = []
    run: list[_Block] = []
    for block in _blocks(architecture):
        if block.repeatable:
            run.append(block)
            continue
        if run:
            yield _Stage(tuple(entry), tuple(run))
            entry, run = [], []
        entry.append(block)
    yield _Stage(tuple(entry), tuple(run))


def _blocks(architecture: Architecture) -> Iterator[_Block]:
    shapes = architecture_shapes(architecture)
    start = 0
    for end in _meeting_places(architecture):
        yield _Block(
            start,
            end,
            _signature(architecture, start, end),
            _is_repeatable(architecture, shapes, start, end),
        )
        start = end


def _meeting_places(architecture: Architecture) -> Iterator[int]:
    """Return the nodes that every path runs through, the input left out."""
    reach = 0  # the farthest node that an edge from a node so far enters
    farthest = [0] * len(architecture.nodes)
    for edge in architecture.edges:
        farthest[edge.source] = max(farthest[edge.source], edge.target)
    for node in range(1, len(architecture.nodes)):
        reach = max(reach, farthest[node - 1])
        if reach <= node:
            yield node


def _is_repeatable(
    architecture: Architecture, shapes: Sequence[SymbolicShape], start: int, end: int
) -> bool:
    computing = any(_has_weights(node) for node in architecture.nodes[start + 1 : end + 1])
    return computing and shapes[start] == shapes[end]


def _has_weights(node: Node) -> bool:
    """Tell whether a node multiplies by weights, as norms and pooling do not."""
    if node.cell is not None:
        return any(_has_weights(inner) for inner in node.cell.nodes)
    return OPERATIONS.get(node.operation).macs(_PROBE, _PROBE[0]) > 0


def _signature(architecture: Architecture, start: int, end: int) -> tuple[Any, ...]:
    """Return what a block is but for strides, widths and what edges do about them."""
    nodes = tuple(
        replace(node, width=None, stride=1, name="", tie=None, exit=False)
        for node in architecture.nodes[start + 1 : end + 1]
    )
    edges = tuple(
        (edge.source - start, edge.target - start, edge.port, edge.part, edge.gain.kind)
        for edge in architecture.edges
        if start < edge.target <= end
    )
    return nodes, edges


def _append(
    nodes: list[Node], edges: list[Edge], architecture: Architecture, block: _Block, copy: int
) -> None:
    offset = len(nodes) - 1 - block.start
    for node in architecture.nodes[block.start + 1 : block.end + 1]:
        if copy and node.name:
            node = replace(node, name=f"{node.name}.again{copy}")
        nodes.append(replace(node, exit=False) if copy else node)
    for target in range(block.start + 1, block.end + 1):
        edges.extend(
            replace(edge, source=edge.source + offset, target=edge.target + offset)
            for edge in architecture.inputs(target)
        )


def _check_factor(name: str, factor: float, low: float = 0.0, high: float = LARGEST_FACTOR) -> None:
    above = factor > low if low == 0.0 else factor >= low
    if not (math.isfinite(factor) and above and factor <= high):
        span = f"above {low:g}" if low == 0.0 else f"at least {low:g}"
        raise ConfigError(
            f"The {name} factor is {factor:g}; it must be {span} and at most {high:g}.",
            fix="A factor of 1 changes nothing, 2 doubles."
            if low == 0.0
            else "A phi of 0 changes nothing.",
        )
