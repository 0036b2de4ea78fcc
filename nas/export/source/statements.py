"""From instructions to statements, one per node: `x3 = self.op3(x1 + self.op3_project(x0))`.

Modules of a node that run one after the other become an `nn.Sequential`; what only one other part
of the same node reads stands inside of its expression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Union, final

from nas.export.source.pieces import Form, in_a_row
from nas.export.source.reading import Instruction, Place, Program

Argument = Union["Use", int]


@final
@dataclass(frozen=True)
class Use:
    """A form applied to values and to other uses."""

    form: Form
    slot: str
    number: int
    arguments: tuple[Argument, ...]

    def uses(self) -> Iterator[Use]:
        """Yield this use and those inside of it, in order of execution."""
        for argument in self.arguments:
            if isinstance(argument, Use):
                yield from argument.uses()
        yield self

    def reads(self) -> Iterator[int]:
        """Yield the values that are read, repetitions included."""
        for argument in self.arguments:
            if isinstance(argument, Use):
                yield from argument.reads()
            else:
                yield argument


@final
@dataclass(frozen=True)
class Statement:
    """The line that computes a value.

    Args:
        place: Parts of the name of its node.
        value: Its number.
        root: What is computed.
    """

    place: Place
    value: int
    root: Use


def statements(program: Program) -> tuple[list[Statement], Program]:
    """Return the statements of a program, and the program with rows of modules as one."""
    program = _in_rows(program)
    readers = program.readers()
    entries = program.instructions
    inner = {
        value
        for entry in entries
        for value in entry.reads
        if value and readers[value] == 1 and entries[value - 1].place == entry.place
    }

    def use(value: int) -> Use:
        entry = entries[value - 1]
        arguments = tuple(use(read) if read in inner else read for read in entry.reads)
        return Use(entry.form, entry.slot, entry.number, arguments)

    found = [
        Statement(entry.place, value, use(value))
        for value, entry in enumerate(entries, 1)
        if value not in inner
    ]
    return _read_at_all(found, [program.output, *program.exits.values()]), program


def _read_at_all(found: list[Statement], outputs: list[int]) -> list[Statement]:
    """Return the statements without those that compute what nothing reads."""
    wanted = set(outputs)
    for statement in reversed(found):
        if statement.value in wanted:
            wanted.update(statement.root.reads())
    return [statement for statement in found if statement.value in wanted]


def _in_rows(program: Program) -> Program:
    """Return the program with the modules of every row as one `nn.Sequential`."""
    readers = program.readers()
    renamed = {0: 0}
    result = Program()
    numbered = list(enumerate(program.instructions, 1))
    for _, group in groupby(numbered, lambda pair: (pair[1].place, pair[1].slot, pair[1].number)):
        for row in _rows(list(group), readers):
            first, last = row[0][1], row[-1][0]
            form = in_a_row([entry.form for _, entry in row])
            reads = tuple(renamed[value] for value in first.reads)
            renamed[last] = result.emit(replace(first, what=form, reads=reads))
    result.output = renamed[program.output]
    result.exits = {name: renamed[value] for name, value in program.exits.items()}
    return result


def _rows(
    group: list[tuple[int, Instruction]], readers: dict[int, int]
) -> Iterator[list[tuple[int, Instruction]]]:
    """Split the instructions of a slot into rows that one `nn.Sequential` can hold."""
    row: list[tuple[int, Instruction]] = []
    for number, entry in group:
        follows = bool(row) and entry.reads == (row[-1][0],) and readers[row[-1][0]] == 1
        if row and not (follows and _fits(row[-1][1].form) and _fits(entry.form)):
            yield row
            row = []
        row.append((number, entry))
    yield row


def _fits(form: Form) -> bool:
    """Tell whether a form is a module that an `nn.Sequential` can hold."""
    return form.call is not None and form.call.name != "gain"
