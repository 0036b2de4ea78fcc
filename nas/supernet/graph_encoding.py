"""Describe every kernel of a member by numbers in [0, 1]: what a hypernetwork reads.

A kernel is described by the operation and the layer it belongs to, by where its node stands (depth,
number, resolution, widths, the enclosing node of a cell), by its in-degree and out-degree, by the
operations around it, and by the size of the whole member.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

from nas.supernet.slots import EdgeCall, NodeCall, Program, SlotUse

Features = tuple[float, ...]
"""One number per feature, in [0, 1] for any member of usual size."""

_DEPTHS, _DEGREES, _NODES, _LAYERS, _KERNELS, _WIDTHS = 32.0, 8.0, 64.0, 8.0, 7.0, 10.0
"""What counts as 1."""


@final
@dataclass(frozen=True)
class _Scene:
    """What all nodes of one level share."""

    operations: tuple[str, ...]
    program: Program
    place: float
    depths: tuple[int, ...]
    readers: tuple[tuple[int, ...], ...]
    side: int


def encode(program: Program, operations: Sequence[str]) -> Iterator[tuple[SlotUse, Features]]:
    """Yield every weight of a member with its features.

    Args:
        program: The member.
        operations: Names that operations are told apart by.
    """
    yield from _encode(_scene(program, tuple(operations), 1.0, program.plan.input_shape[1]))


def _scene(program: Program, operations: tuple[str, ...], place: float, side: int) -> _Scene:
    depths = [0]
    readers: list[list[int]] = [[] for _ in range(len(program.calls) + 1)]
    for number, call in enumerate(program.calls, start=1):
        before = max((depths[edge.source] for edge in call.inputs), default=0)
        works = bool(call.layers) or call.cell is not None
        depths.append(before + int(works or any(edge.layers for edge in call.inputs)))
        for edge in call.inputs:
            readers[edge.source].append(number)
    return _Scene(
        operations, program, place, tuple(depths), tuple(map(tuple, readers)), max(1, side)
    )


def _encode(scene: _Scene) -> Iterator[tuple[SlotUse, Features]]:
    count = len(scene.program.calls)
    for number, call in enumerate(scene.program.calls, start=1):
        node = _node_features(scene, number, call)
        for edge in call.inputs:
            yield from _edge(scene, number, call, edge, node)
        name = None if call.step.operation is None else call.step.operation.name
        for layer, each in enumerate(call.layers):
            for use in each.weights:
                yield use, (*node, *_use_features(scene, use, name, layer, 0.0))
        if call.cell is not None:
            yield from _encode(_scene(call.cell, scene.operations, number / count, scene.side))


def _edge(
    scene: _Scene, number: int, call: NodeCall, edge: EdgeCall, node: Features
) -> Iterator[tuple[SlotUse, Features]]:
    distance = (number - edge.source) / _NODES
    operation = edge.adapter.operation
    name = None if operation is None else operation.name
    for layer, each in enumerate(edge.layers):
        for use in each.weights:
            yield use, (*node, *_use_features(scene, use, name, layer, distance))
    if edge.weight is not None:
        yield edge.weight, (*node, *_use_features(scene, edge.weight, None, 0, distance))


def _node_features(scene: _Scene, number: int, call: NodeCall) -> Features:
    calls = scene.program.calls
    longest = max(1, max(scene.depths))
    sources = [calls[edge.source - 1] for edge in call.inputs if edge.source > 0]
    readers = [calls[reader - 1] for reader in scene.readers[number]]
    return (
        scene.place,
        number / len(calls),
        len(calls) / _NODES,
        scene.depths[number] / longest,
        longest / _DEPTHS,
        len(call.inputs) / _DEGREES,
        len(readers) / _DEGREES,
        call.step.merged[1] / scene.side,
        call.step.merged[0].bit_length() / _WIDTHS,
        call.step.output[0].bit_length() / _WIDTHS,
        *_histogram(scene, sources),
        *_histogram(scene, readers),
    )


def _histogram(scene: _Scene, calls: Sequence[NodeCall]) -> Features:
    """Return the share of every operation among nodes."""
    names = [call.step.operation.name for call in calls if call.step.operation is not None]
    return tuple(names.count(name) / max(1, len(calls)) for name in scene.operations)


def _use_features(
    scene: _Scene, use: SlotUse, operation: str | None, layer: int, distance: float
) -> Features:
    side = use.shape[-1] if len(use.shape) == 4 else 1
    return (
        *(float(name == operation) for name in scene.operations),
        float(operation is None),
        layer / _LAYERS,
        distance,
        side / _KERNELS,
        float(len(use.shape) == 4 and use.shape[1] == 1),
        use.shape[0].bit_length() / _WIDTHS,
        (use.shape[1] if len(use.shape) > 1 else 1).bit_length() / _WIDTHS,
    )
