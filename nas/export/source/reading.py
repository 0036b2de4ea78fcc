"""From a built network to the list of what it runs: one instruction per module, cells flattened.

Every instruction knows the node it belongs to, by the parts of its name, so that the file can be
laid out as the names say. With `folded`, batch norms go into the convolutions in front of them, as
in `nas.model.fuse`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import cast, final

import torch
from torch import nn

from nas.cost.shapes import NodeStep, Plan
from nas.cost.turns import growing_stacks
from nas.export.source.layer_forms import resized_like, zeros
from nas.export.source.merge_forms import form_of_merge, projection, stacked
from nas.export.source.pieces import Form, form_of
from nas.model.adapters import Resample, Scaling
from nas.model.fuse import fold_norm
from nas.model.merges import Projected
from nas.model.network import AbstractWired, Network, NodeModule

Place = tuple[str, ...]

GATHERED = 3
"""Values of one group from which on a concatenation elsewhere gets them as one tensor."""


@final
@dataclass(frozen=True)
class Instruction:
    """One module, or one expression, and what it reads.

    Args:
        what: The module, or the form of what has no module.
        reads: Numbers of values; the value of instruction `i` is `i + 1`, value 0 the image.
        place: Parts of the name of the node it belongs to.
        slot: What it is there: `adapter`, `stack`, `merge` or `operation`.
        number: Which adapter, from 0.
    """

    what: nn.Module | Form
    reads: tuple[int, ...]
    place: Place
    slot: str
    number: int = 0

    @property
    def form(self) -> Form:
        """How it is written."""
        return self.what if isinstance(self.what, Form) else form_of(self.what)


@final
@dataclass
class Program:
    """The instructions of a network.

    Attributes:
        instructions: In order of execution.
        output: The value of the last node.
        exits: The values of the exits, by the name of their heads.
    """

    instructions: list[Instruction] = field(default_factory=list)
    output: int = 0
    exits: dict[str, int] = field(default_factory=dict)

    def emit(self, instruction: Instruction) -> int:
        """Append an instruction; return the number of its value."""
        self.instructions.append(instruction)
        return len(self.instructions)

    def readers(self) -> Counter[int]:
        """Count how often each value is read; the network's outputs once more."""
        read = Counter(value for entry in self.instructions for value in entry.reads)
        return read + Counter([self.output, *self.exits.values()])


def read_program(network: Network, *, folded: bool) -> Program:
    """Return what a network runs.

    Args:
        network: The network.
        folded: Whether batch norms go into the convolutions in front of them.

    Raises:
        NotFoundError: If nobody said how one of its modules is written.
    """
    program = Program()
    values = _read(program, network.plan, network, 0, ())
    program.output = values[len(network.plan.steps) - 1]
    program.exits = {f"exit{index}": values[int(index)] for index in network.exits}
    program = _gathered(program)
    if folded:
        with torch.no_grad():
            program = _folded(program)
    return program


def _gathered(program: Program) -> Program:
    """Return the program with stacks of another group's values put together within that group.

    So a stage whose states all go into one concatenation hands over one tensor, not dozens.
    """
    result, renamed, known = Program(), {0: 0}, dict[tuple[int, ...], int]()
    for number, entry in enumerate(program.instructions, 1):
        reads: list[int] = []
        for group, run in groupby(entry.reads, partial(_group, program, entry)):
            values = tuple(renamed[value] for value in run)
            if group and len(values) >= GATHERED and entry.form.label == "cat":
                if values not in known:
                    new = Instruction(stacked(), values, (group, "stack"), "stack")
                    known[values] = result.emit(new)
                values = (known[values],)
            reads.extend(values)
        renamed[number] = result.emit(replace(entry, reads=tuple(reads)))
    result.output = renamed[program.output]
    result.exits = {name: renamed[value] for name, value in program.exits.items()}
    return result


def _group(program: Program, reader: Instruction, value: int) -> str:
    """Return the outermost group of a value if it is not the reader's own, else nothing."""
    if value == 0:
        return ""
    place = program.instructions[value - 1].place
    return place[0] if len(place) > 1 and place[0] != reader.place[0] else ""


def place_of(step: NodeStep) -> Place:
    """Return the parts of a node's name, or its number where it has none."""
    parts = tuple(part for part in step.node.name.split(".") if part)
    return parts or (f"node{step.index}",)


def _read(
    program: Program, schedule: Plan, wired: AbstractWired, value: int, place: Place
) -> dict[int, int]:
    """Append the nodes of a plan that reads `value`; return their values by number."""
    values, stacks = {0: value}, dict[int, int]()
    growing = growing_stacks(schedule)
    for step in schedule.steps[1:]:
        node = cast(NodeModule, wired.nodes[str(step.index)])
        reads = [values[entry.edge.source] for entry in step.inputs]
        reader = _NodeReader(program, (*place, *place_of(step)), value, _main(step))
        if step.index in growing:
            owner = growing[step.index]
            reads = [stacks[owner], *reads[len(schedule.steps[owner].inputs) :]]
        if step.index in growing.values():
            stacks[step.index] = reader.stacked(reads)
            reads = [stacks[step.index]]
        values[step.index] = reader.read(node, reads)
    return values


@final
@dataclass(frozen=True)
class _NodeReader:
    program: Program
    place: Place
    like: int
    main: int

    def read(self, node: NodeModule, reads: list[int]) -> int:
        for name, adapter in node.adapters.items():
            for layer in _adapter_layers(cast(nn.Sequential, adapter)):
                place = int(name)
                reads[place] = self._adapted(layer, node, reads, place)
        value = self._merged(node, reads)
        for layer in node.operation:
            value = self._emit(layer, (value,), "operation")
        if node.cell is None:
            return value
        cell = node.cell
        inner = _read(self.program, cell.plan, cell, value, self.place)
        return inner[len(cell.plan.steps) - 1]

    def _adapted(self, layer: nn.Module, node: NodeModule, reads: list[int], place: int) -> int:
        if isinstance(layer, Resample) and not layer.shrinks and self._is_plain(node):
            both = (reads[place], reads[self.main])
            return self._emit(resized_like(), both, "adapter", place)
        return self._emit(layer, (reads[place],), "adapter", place)

    def _is_plain(self, node: NodeModule) -> bool:
        """Tell whether the main input is read as it is, so that others can follow its size."""
        return str(self.main) not in node.adapters

    def stacked(self, reads: list[int]) -> int:
        """Concatenate what a later node appends to: a line of its own, as one writes it by hand."""
        if len(reads) == 1:
            return reads[0]
        place = (*self.place[:-1], f"{self.place[-1]}_stack")
        return self.program.emit(Instruction(stacked(), tuple(reads), place, "stack"))

    def _merged(self, node: NodeModule, reads: list[int]) -> int:
        if not reads:
            return self._emit(zeros(node.merged), (self.like,), "merge")
        if node.merge is None or len(reads) == 1:  # one input, or a stack that was kept
            return reads[0]
        if not isinstance(node.merge, Projected):
            return self._emit(form_of_merge(node.merge, len(reads)), tuple(reads), "merge")
        value = self._emit(stacked(), tuple(reads), "merge")
        return self._emit(projection(node.merge), (value,), "merge")

    def _emit(
        self, what: nn.Module | Form, reads: tuple[int, ...], slot: str, number: int = 0
    ) -> int:
        return self.program.emit(Instruction(what, reads, self.place, slot, number))


def _main(step: NodeStep) -> int:
    """Return which input gives a node its shape: that of the port `main`, else the newest."""
    ports = [entry.edge.port for entry in step.inputs]
    return ports.index("main") if "main" in ports else len(ports) - 1


def _adapter_layers(adapter: nn.Sequential) -> Iterator[nn.Module]:
    """Yield the modules of an adapter; a gain of 1 that is fixed is left out."""
    for layer in adapter:
        if not (isinstance(layer, Scaling) and layer.gain is None and layer.start == 1.0):
            yield layer


def _folded(program: Program) -> Program:
    """Return the program with batch norms folded into the convolutions whose only readers they are.

    Dropout, which does nothing where nothing is trained, is left out.
    """
    readers = program.readers()
    result = Program()
    renamed = {0: 0}
    for number, entry in enumerate(program.instructions, 1):
        reads = tuple(renamed[value] for value in entry.reads)
        front = result.instructions[reads[0] - 1] if reads and reads[0] else None
        alone = bool(entry.reads) and readers[entry.reads[0]] == 1
        if isinstance(entry.what, nn.Dropout):
            renamed[number] = reads[0]
        elif front is not None and alone and _folds(front.what, entry.what):
            conv, norm = cast(nn.Conv2d, front.what), cast(nn.BatchNorm2d, entry.what)
            result.instructions[reads[0] - 1] = replace(front, what=fold_norm(conv, norm))
            renamed[number] = reads[0]
        else:
            renamed[number] = result.emit(replace(entry, reads=reads))
    result.output = renamed[program.output]
    result.exits = {name: renamed[value] for name, value in program.exits.items()}
    return result


def _folds(front: nn.Module | Form, norm: nn.Module | Form) -> bool:
    is_norm = isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None
    return is_norm and isinstance(front, nn.Conv2d)
