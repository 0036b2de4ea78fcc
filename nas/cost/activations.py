"""How much memory the activations of an evaluation take, by arithmetic, in the order it runs.

A compiled network runs its nodes by number, layer by layer, and frees a node's output behind the
last node that reads it. At any moment it holds the image, the outputs that are still to be read,
the inputs that the running node has adapted, and what its running layer reads and writes. Every
layer writes a tensor of its own; a merge with weights adds one product at a time to its sum (on a
CPU the compiled one copies small inputs together instead, which takes more). A node that hands its
one input on writes none. Weights, and what a kernel needs for itself, are not counted; neither is
what training keeps for the way back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import final

from nas.cost.count import BYTES
from nas.cost.shapes import InputStep, NodeStep, Plan, plan
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.liveness import last_reads


@final
@dataclass(frozen=True)
class Activations:
    """The busiest moments of an evaluation of one image in float32.

    Args:
        peak_bytes: Largest number of bytes held at once.
        peak_node: Node (of the outermost graph) that runs at that moment.
        state_bytes: Largest number of bytes of the image and of outputs of nodes held at once,
            without what a running node holds for itself.
        states: Largest number of such tensors.
    """

    peak_bytes: int
    peak_node: int
    state_bytes: int
    states: int


def activations(architecture: Architecture, input_shape: Shape) -> Activations:
    """Return what an evaluation of one image holds at its busiest moments.

    Args:
        architecture: The network.
        input_shape: `(channels, height, width)` of one image.

    Raises:
        ArchitectureError: If a node cannot be computed.
    """
    schedule = plan(architecture, input_shape)
    level = _level(schedule)
    node = max(range(len(level.peaks)), key=level.peaks.__getitem__)
    whole = prod(input_shape)
    held = [whole + other for other in level.states]
    return Activations(
        peak_bytes=BYTES * (whole + level.peaks[node]),
        peak_node=node,
        state_bytes=BYTES * max(held),
        states=max(level.counts) + 1,
    )


@final
@dataclass(frozen=True)
class _Level:
    """Numbers held beside a graph's input, by the node that runs."""

    peaks: list[int]
    states: list[int]
    counts: list[int]


def _level(schedule: Plan) -> _Level:
    steps = schedule.steps
    home = _homes(steps)
    reads = [[home[entry.edge.source] for entry in step.inputs] for step in steps]
    reads[-1].append(home[-1])  # what is returned lives to the end, under whatever name
    gone = last_reads(reads)
    held = count = 0
    level = _Level([0], [0], [0])
    for step in steps[1:]:
        new = home[step.index] == step.index
        output = prod(step.output) if new else 0
        level.peaks.append(held + _within(step))
        held, count = held + output, count + new
        level.states.append(held)
        level.counts.append(count)
        for source in gone[step.index]:
            if source and home[source] == source:  # the caller keeps the input
                held, count = held - prod(steps[source].output), count - 1
    return level


def _homes(steps: tuple[NodeStep, ...]) -> list[int]:
    """Return, per node, the node whose tensor it hands on: itself where it writes one."""
    home = [0]
    for step in steps[1:]:
        home.append(home[step.inputs[0].edge.source] if _hands_on(step) else step.index)
    return home


def _hands_on(step: NodeStep) -> bool:
    if len(step.inputs) != 1 or not _untouched(step.inputs[0]):
        return False
    if step.cell is not None:
        return _homes(step.cell.steps)[-1] == 0
    return step.operation is not None and not step.operation.layers


def _untouched(entry: InputStep) -> bool:
    return entry.adapter.kind == "identity" and entry.edge.gain.identity


def _within(step: NodeStep) -> int:
    """Return the most that a node holds at once beside the outputs of other nodes."""
    adapted = most = 0
    for entry in step.inputs:
        if _untouched(entry):
            continue
        target = prod(entry.adapter.target)
        most = max(most, adapted + _adapting(entry))
        adapted += target
    current = 0
    if len(step.inputs) != 1:
        current = prod(step.merged)
        terms = 1 + (step.merge.weight in ("scalar", "projection"))  # the sum, and what is added
        most = max(most, adapted + terms * current)
    if step.cell is not None:
        inside = max(_cell_level(step.cell.architecture, step.cell.input_shape).peaks)
        return max(most, adapted + current + inside)
    if step.operation is not None:
        for shape in step.operation.shapes(step.merged, step.output[0], step.node.stride)[1:]:
            most = max(most, adapted + current + prod(shape))
            current = prod(shape)
    return most


@lru_cache(maxsize=4096)
def _cell_level(cell: Architecture, input_shape: Shape) -> _Level:
    return _level(plan(cell, input_shape))


def _adapting(entry: InputStep) -> int:
    """Return the most that adapting one input holds at once beside its source."""
    adapter = entry.adapter
    chain = [prod(shape) for shape in _adapter_shapes(entry)]
    if not entry.edge.gain.identity:
        chain.append(prod(adapter.target))
    pairs = zip([0, *chain], chain, strict=False)
    return max((before + after for before, after in pairs), default=0)


def _adapter_shapes(entry: InputStep) -> list[Shape]:
    """Return the shapes of the tensors that an adapter writes one after the other."""
    adapter = entry.adapter
    if adapter.operation is not None:
        return list(adapter.operation.shapes(adapter.source, adapter.target[0], 1)[1:])
    resampled = (adapter.source[0], *adapter.target[1:])
    return {
        "identity": [],
        "resample": [adapter.target],
        "resample_project": [resampled, adapter.target, adapter.target],
        "project": [adapter.target, adapter.target],
    }.get(adapter.kind, [adapter.target])
