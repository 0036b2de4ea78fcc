"""Many members on the same images: what they have in common is computed once.

Members are broken into expressions: an edge's adapter, a merge, an operation, the classifier.
Equal expressions of equal inputs are one object (the key is exact: layers, slots, slices, inputs),
so all members together are one graph, and each of its values is computed once, whoever asks.
Statistics of batch norm belong to expressions too: they depend on the images and on what is
upstream, and on nothing else. A value is freed after its last reader; when the memory ends, the
value that is read again last goes first and is computed anew if need be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from nas.model.merges import merge_setup
from nas.supernet.execution import (
    FixedNorm,
    Norm,
    RecordingNorm,
    Statistics,
    WeightSource,
    merge_adapted,
    run_adapter,
    run_layers,
)
from nas.supernet.slots import EdgeCall, LayerCall, NodeCall, Program, SlotUse

INPUT = 0
"""Number of the expression that stands for the images."""

Compute = Callable[[Sequence[Tensor], Norm], Tensor]
"""From the values of an expression's inputs to its own."""
Signature = tuple[object, ...]


@final
@dataclass(frozen=True)
class Expression:
    """One sub-computation that members may have in common.

    Args:
        inputs: Numbers of the expressions it reads.
        compute: What it does with their values.
        norms: Site and scale's slot of its norms.
    """

    inputs: tuple[int, ...]
    compute: Compute
    norms: tuple[tuple[str, SlotUse], ...] = ()


@final
@dataclass
class Expressions:
    """The expressions of many members, each filed once.

    Args:
        weights: What they read.
        classify: From the last state and the program to logits.
    """

    weights: WeightSource
    classify: Callable[[Tensor, Program], Tensor]
    table: list[Expression] = field(default_factory=list)
    _numbers: dict[Signature, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table.append(Expression((), lambda inputs, norm: inputs[0]))

    def member(self, program: Program, head: Sequence[SlotUse]) -> int:
        """File a member; return the number of its logits."""
        last = self._program(program, INPUT)
        signature = ("classify", _read(head), last)
        return self._file(
            signature, (last,), lambda inputs, norm: self.classify(inputs[0], program)
        )

    def _program(self, program: Program, source: int) -> int:
        states = [source]
        for call in program.calls:
            merged = self._merge(call, states)
            value = self._layers(call.layers, merged)
            states.append(value if call.cell is None else self._program(call.cell, value))
        return states[-1]

    def _merge(self, call: NodeCall, states: Sequence[int]) -> int:
        if not call.inputs:
            shape = call.step.merged
            return self._file(
                ("zeros", shape, states[0]),
                (states[0],),
                lambda inputs, norm: inputs[0].new_zeros((inputs[0].shape[0], *shape)),
            )
        edges = tuple(self._edge(edge, states[edge.source]) for edge in call.inputs)
        if len(edges) == 1:
            return edges[0]
        uses = [edge.weight for edge in call.inputs if edge.weight is not None]
        uses += [use for parameter in call.merge for use in parameter.uses]
        setup = merge_setup(call.step)
        signature = ("merge", setup.rule.text, setup.factor, setup.roles, _read(uses), edges)
        return self._file(
            signature,
            edges,
            lambda inputs, norm: merge_adapted(call, list(inputs), self.weights),
        )

    def _edge(self, edge: EdgeCall, source: int) -> int:
        if edge.adapter.identity:
            return source
        signature = ("edge", edge.adapter, _signature(edge.layers), source)

        def compute(inputs: Sequence[Tensor], norm: Norm) -> Tensor:
            return run_adapter(edge.adapter, edge.layers, inputs[0], self.weights, norm)

        return self._file(signature, (source,), compute, edge.layers)

    def _layers(self, layers: tuple[LayerCall, ...], source: int) -> int:
        if not layers:
            return source
        signature = ("layers", _signature(layers), source)

        def compute(inputs: Sequence[Tensor], norm: Norm) -> Tensor:
            return run_layers(layers, inputs[0], self.weights, norm)

        return self._file(signature, (source,), compute, layers)

    def _file(
        self,
        signature: Signature,
        inputs: tuple[int, ...],
        compute: Compute,
        layers: Iterable[LayerCall] = (),
    ) -> int:
        number = self._numbers.get(signature)
        if number is None:
            number = self._numbers[signature] = len(self.table)
            norms = tuple((call.site, call.scale) for call in layers if call.scale is not None)
            self.table.append(Expression(inputs, compute, norms))
        return number


def _read(uses: Iterable[SlotUse]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((use.key, use.shape) for use in uses)


def _signature(layers: Iterable[LayerCall]) -> tuple[object, ...]:
    return tuple(
        (call.layer, call.stride, call.in_channels, call.width, _read(call.weights))
        for call in layers
    )


@final
class SharedPass:
    """Passes of all members over batches of images.

    Args:
        table: The expressions.
        outputs: Number of every member's logits, in the order in which they are computed.
        memory_bytes: Most memory of values that wait for a later member.
    """

    def __init__(
        self, table: Sequence[Expression], outputs: Sequence[int], memory_bytes: int
    ) -> None:
        self.table = table
        self.outputs = outputs
        self.memory_bytes = memory_bytes
        self.computed = 0
        self._first_member = _first_members(table, outputs)
        self._values: dict[int, Tensor] = {}
        self._readers: dict[int, set[int]] = {}

    @torch.no_grad()
    def run(
        self,
        images: Tensor,
        norm_of: Callable[[int], Norm],
        on_logits: Callable[[int, Tensor], None],
    ) -> None:
        """Compute every member's logits.

        Args:
            images: The batch.
            norm_of: Rule of normalising of an expression.
            on_logits: Gets a member's place in the order and its logits.
        """
        self._values = {INPUT: images}
        self._readers = {number: set() for number in self._first_member}
        for number in self._first_member:
            for source in self.table[number].inputs:
                self._readers[source].add(number)
        known: Tensor | None = None
        for member, output in enumerate(self.outputs):
            if member == 0 or output != self.outputs[member - 1]:
                self._evaluate(output, norm_of)
                known = self._values.pop(output)
            assert known is not None
            on_logits(member, known)
            self._keep_within_memory()
        self._values = {}

    def _evaluate(self, output: int, norm_of: Callable[[int], Norm]) -> None:
        waiting = [output]
        while waiting:
            number = waiting[-1]
            expression = self.table[number]
            missing = [source for source in expression.inputs if source not in self._values]
            if number in self._values:
                waiting.pop()
            elif missing:
                waiting += missing
            else:
                inputs = [self._values[source] for source in expression.inputs]
                self._values[number] = expression.compute(inputs, norm_of(number))
                self.computed += 1
                waiting.pop()
                self._release(number, waiting)

    def _release(self, number: int, waiting: Sequence[int]) -> None:
        """Free the inputs of what was computed, unless others will read them."""
        for source in set(self.table[number].inputs):
            readers = self._readers[source]
            readers.discard(number)
            if readers or source == INPUT:
                continue
            if not any(source in self.table[other].inputs for other in waiting):
                del self._values[source]

    def _keep_within_memory(self) -> None:
        held = {number: _bytes(self._values[number]) for number in self._values if number != INPUT}
        total = sum(held.values())
        if total <= self.memory_bytes:
            return
        for number in sorted(held, key=lambda each: (-self._next_member(each), each)):
            total -= held[number]
            del self._values[number]
            if total <= self.memory_bytes:
                return

    def _next_member(self, number: int) -> int:
        return min((self._first_member[reader] for reader in self._readers[number]), default=0)


def _first_members(table: Sequence[Expression], outputs: Sequence[int]) -> dict[int, int]:
    """Return, per expression that anyone needs, the first member that does."""
    first: dict[int, int] = {INPUT: 0}
    for member, output in enumerate(outputs):
        waiting = [output]
        while waiting:
            number = waiting.pop()
            if number not in first:
                first[number] = member
                waiting += table[number].inputs
    return first


def in_shared_order(table: Sequence[Expression], outputs: Sequence[int]) -> list[int]:
    """Return the members so that those with common first expressions stand side by side."""
    paths: dict[int, tuple[int, ...]] = {}
    for output in set(outputs):
        found: set[int] = set()
        waiting = [output]
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += table[number].inputs
        paths[output] = tuple(sorted(found))
    return sorted(range(len(outputs)), key=lambda member: (paths[outputs[member]], member))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def record_statistics(
    expressions: Sequence[Expression], outputs: Sequence[int], images: Tensor, memory_bytes: int
) -> dict[int, Statistics]:
    """Measure the batch-norm statistics of every expression in one pass over `images`."""
    recorders: dict[int, RecordingNorm] = {}

    def norm_of(number: int) -> Norm:
        return recorders.setdefault(number, RecordingNorm())

    SharedPass(expressions, outputs, memory_bytes).run(images, norm_of, lambda member, logits: None)
    return {number: Statistics(each.values) for number, each in recorders.items() if each.values}


def fixed_norms(statistics: dict[int, Statistics]) -> Callable[[int], Norm]:
    """Return the rule that normalises every expression by its own statistics."""
    nothing = FixedNorm(Statistics({}))
    norms: dict[int, Norm] = {number: FixedNorm(each) for number, each in statistics.items()}
    return lambda number: norms.get(number, nothing)
