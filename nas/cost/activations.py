"""How much memory the activations of an evaluation take, by arithmetic, in the order it runs.

A compiled network runs its nodes by number, layer by layer (`nas.cost.turns`), and lets go of an
output as soon as the last node that reads it has merged its inputs. At any moment it holds the
image, what is still to be read, the inputs that the running node has adapted, and what its running
layer reads and writes. A rectifier may overwrite what it reads (`nas.cost.in_place`), a node that
hands its one input on writes nothing; a merge with weights adds one product at a time to its sum
(on a CPU the compiled one copies small inputs together instead, which takes more). Weights, and
what a kernel needs for itself, are not counted; neither is what training keeps for the way back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import final

from nas.cost.count import BYTES
from nas.cost.in_place import in_place, node_in_place
from nas.cost.shapes import Adapter, NodeStep, Plan, plan
from nas.cost.turns import turns
from nas.topology.graph import Architecture
from nas.topology.layers import Shape


@final
@dataclass(frozen=True)
class Activations:
    """The busiest moments of an evaluation of one image in float32.

    Args:
        peak_bytes: Largest number of bytes held at once.
        peak_node: Node (of the outermost graph) that runs at that moment.
        state_bytes: Largest number of bytes of the image and of outputs of nodes held between two
            nodes.
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
    memory = _Memory()
    image = memory.new(prod(input_shape))
    busiest, held, states = (memory.peak, 0), memory.held, 1

    def observe(node: int) -> None:
        nonlocal busiest, held, states
        busiest = max(busiest, (memory.peak, node), key=lambda moment: moment[0])
        held, states = max(held, memory.held), max(states, len(memory.holders))

    _run(plan(architecture, input_shape), image, memory, observe)
    return Activations(BYTES * busiest[0], busiest[1], BYTES * held, states)


@final
class _Memory:
    """Tensors by number, how many hold each, and the most numbers that were held at once."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self.holders: Counter[int] = Counter()
        self.held = self.peak = 0

    def new(self, size: int) -> int:
        """Write a tensor, held once."""
        tensor = len(self.sizes)
        self.sizes[tensor] = size
        self.held += size
        self.peak = max(self.peak, self.held)
        return self.hold(tensor)

    def hold(self, tensor: int) -> int:
        """Hold a tensor once more."""
        self.holders[tensor] += 1
        return tensor

    def drop(self, tensor: int) -> None:
        """Let a tensor go; the last to do so frees it."""
        self.holders[tensor] -= 1
        if not self.holders[tensor]:
            del self.holders[tensor]
            self.held -= self.sizes[tensor]


def _run(
    schedule: Plan, given: int, memory: _Memory, observe: Callable[[int], None] = lambda node: None
) -> int:
    """Run a plan on a tensor that its caller holds; return the output, held once.

    Args:
        schedule: The plan.
        given: The tensor.
        memory: Where tensors live.
        observe: Called with the number of each node that has run.
    """
    values = {0: memory.hold(given)}
    for turn in turns(schedule):
        step = schedule.steps[turn.node]
        if turn.stacked:
            size = sum(memory.sizes[values[value]] for value in turn.stacked)
            values[turn.kept] = memory.new(size)
        inputs = [memory.hold(values[value]) for value in turn.reads]
        for value in turn.frees:
            memory.drop(values.pop(value))
        values[turn.node] = _run_node(step, inputs, memory)
        observe(turn.node)
    output = memory.hold(values[len(schedule.steps) - 1])
    for tensor in values.values():
        memory.drop(tensor)
    return output


def _run_node(step: NodeStep, inputs: list[int], memory: _Memory) -> int:
    stacked = len(inputs) < len(step.inputs)  # what is read is a stack that was kept
    for place, entry in enumerate(() if stacked else step.inputs):
        inputs[place] = _adapt(entry.adapter, inputs[place], memory)
    current = _merge(step, inputs, memory)
    if step.cell is not None:
        output = _run(step.cell, current, memory)
        memory.drop(current)
        return output
    if step.operation is None:
        return current
    shapes = step.operation.shapes(step.merged, step.output[0], step.node.stride)[1:]
    return _run_row(current, shapes, node_in_place(step), memory)


def _merge(step: NodeStep, inputs: list[int], memory: _Memory) -> int:
    """Merge tensors that are held for it; return the result, held once."""
    if len(inputs) == 1:
        return inputs[0]
    merged = memory.new(prod(step.merged))
    if step.merge.weight not in ("identity", "stacked", "pairwise"):
        memory.drop(memory.new(prod(step.merged)))  # what is added to the sum
    for tensor in inputs:
        memory.drop(tensor)
    return merged


def _adapt(adapter: Adapter, tensor: int, memory: _Memory) -> int:
    """Adapt a tensor that its node holds; return the result, held in its place."""
    written = _adapter_shapes(adapter)
    layers = in_place(adapter.layers)
    flags = (*[False] * (len(written) - len(layers)), *layers)
    result = _run_row(memory.hold(tensor), written, flags, memory)
    memory.drop(tensor)  # the node lets go of it only now
    return result


def _run_row(tensor: int, shapes: Sequence[Shape], flags: Sequence[bool], memory: _Memory) -> int:
    """Run layers one after the other, each letting go of what it read."""
    for shape, overwrites in zip(shapes, flags, strict=True):
        if not overwrites:
            written = memory.new(prod(shape))
            memory.drop(tensor)
            tensor = written
    return tensor


def _adapter_shapes(adapter: Adapter) -> list[Shape]:
    """Return the shapes of the tensors that an adapter writes, those of its layers last."""
    padded = adapter.kind == "zero_pad" and adapter.taken[0] < adapter.target[0]
    resampled = adapter.adapted[1:] != adapter.taken[1:] and adapter.kind != "zero_pad"
    shapes = [adapter.adapted] if padded or resampled else []
    if adapter.operation is None:
        return shapes + [adapter.target] * len(adapter.layers)
    shapes += adapter.operation.shapes(adapter.taken, adapter.target[0], 1)[1:]
    return shapes + [adapter.target] * (not adapter.gain.identity)
