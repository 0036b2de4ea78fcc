"""From blocks to the text of classes: attributes, and the lines of the forward pass.

Names of values follow what a person writes: `x` where the next line alone reads it, `y` beside an
`x` that is still needed, else a name after the node.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import final

from nas.export.source.blocks import Block, Member
from nas.export.source.naming import free_attribute, free_variable, identifier
from nas.export.source.pieces import Call, Stored, Term
from nas.export.source.statements import Statement, Use


@final
@dataclass
class Written:
    """A module of the file: either a class of its own, or a plain `nn.Sequential`.

    Attributes:
        path: Parts of the name it goes back to.
        attributes: Constructors, by attribute; for a sequence the numbers stand for attributes.
        parameters: Arguments of `forward` beside `self`.
        lines: Body of `forward`.
        tensors: All that is stored below it, by path.
        is_sequence: Whether it only runs its attributes one after the other.
        call: How it is constructed, once its class is known.
    """

    path: tuple[str, ...]
    attributes: list[tuple[str, Call | Written]] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    tensors: list[Stored] = field(default_factory=list)
    is_sequence: bool = False
    call: Call | None = None

    def children(self) -> Iterator[Written]:
        """Yield the modules that are attributes of this one."""
        for _, entry in self.attributes:
            if isinstance(entry, Written):
                yield entry


def lay_out(block: Block) -> Written:
    """Return a block as a module."""
    return _sequence(block) if _is_chain(block) else _Layout(block, block.outputs).written()


def lay_out_whole(block: Block, results: Sequence[int]) -> Written:
    """Return the network itself, which is always a class.

    Args:
        block: All of it.
        results: The values it returns, in this order.
    """
    return _Layout(block, tuple(results)).written()


def _is_chain(block: Block) -> bool:
    """Tell whether every member is a module that reads the member before it and nothing else."""
    if len(block.inputs) != 1 or len(block.outputs) != 1:
        return False
    previous = block.inputs
    for member in block.members:
        if member.reads != previous or len(member.values) != 1 or not member.is_module:
            return False
        previous = member.values
    inner = [value for member in block.members[:-1] for value in member.values]
    return previous == block.outputs and not set(inner) & set(block.outputs)


def _sequence(block: Block) -> Written:
    result = Written(block.path, is_sequence=True)
    for number, member in enumerate(block.members):
        _attach(result, str(number), _made(member))
    return result


def _made(member: Member) -> tuple[Call | Written, Sequence[Stored]]:
    """Return the module of a member of a chain, and what it stores."""
    if isinstance(member.content, Block):
        inner = lay_out(member.content)
        return inner, inner.tensors
    form = member.content.root.form
    assert form.call is not None
    return form.call, form.tensors


def _attach(owner: Written, name: str, made: tuple[Call | Written, Sequence[Stored]]) -> None:
    entry, tensors = made
    owner.attributes.append((name, entry))
    for stored in tensors:
        path = f"{name}.{stored.name}" if stored.name else name
        owner.tensors.append(replace(stored, name=path))


@final
class _Layout:
    """Writes one class: chooses names, then the lines."""

    def __init__(self, block: Block, results: tuple[int, ...]) -> None:
        self.block = block
        self.results = results
        self.result = Written(block.path)
        self._names: dict[int, str] = {}
        self._used: set[str] = set()
        self._shared: dict[object, str] = {}
        self._last = self._last_reads()

    def _last_reads(self) -> dict[int, int]:
        """Return the last member that reads each value; outputs are read behind the end."""
        last: dict[int, int] = {}
        for place, member in enumerate(self.block.members):
            last.update(dict.fromkeys(member.reads, place))
        last.update(dict.fromkeys(self.results, len(self.block.members)))
        return last

    def written(self) -> Written:
        """Return the class."""
        self._name_inputs()
        final = len(self.block.members) - 1
        for place, member in enumerate(self.block.members):
            term = self._expression(member)
            ends = place == final and self.results == member.values
            if ends:
                self.result.lines.append(f"return {term.text}")
                return self.result
            targets = [self._name(value, place, member) for value in member.values]
            self.result.lines.append(f"{', '.join(targets)} = {term.text}")
        shown = [self._names[value] for value in self.results]
        self.result.lines.append(f"return {', '.join(shown)}")
        return self.result

    def _name_inputs(self) -> None:
        """Name the newest input `x` and the others `skip`, in the order of the call."""
        inputs = self.block.inputs
        for number, value in enumerate(reversed(inputs)):
            name = "x" if number == 0 else "skip" if len(inputs) == 2 else f"skip{number}"
            self._names[value] = name
            self._used.add(name)
            self.result.parameters.append(name)

    def _name(self, value: int, place: int, member: Member) -> str:
        """Choose and keep the name of a value that is computed at this place."""
        content = member.content
        if isinstance(content, Statement) and content.root.slot == "stack":
            name = "stack" if self._is_free("stack", place) else self._own("stack")
        else:
            name = self._running(value, place) or self._own(member.name)
        self._names[value] = name
        self._used.add(name)
        return name

    def _running(self, value: int, place: int) -> str | None:
        """Return `x` or `y` where only the next line reads the value and the name is free."""
        if self._last[value] != place + 1 or place + 1 == len(self.block.members):
            return None
        return next((name for name in ("x", "y") if self._is_free(name, place)), None)

    def _is_free(self, name: str, place: int) -> bool:
        """Tell whether nothing behind this place reads a value of this name."""
        holders = [held for held, own in self._names.items() if own == name]
        return all(self._last.get(held, -1) <= place for held in holders)

    def _own(self, node: str) -> str:
        numbered = re.fullmatch(r"(?:op|node|n)_?(\d+)", node)
        wish = f"x{numbered[1]}" if numbered else node
        return free_variable(wish, self._used)

    def _expression(self, member: Member) -> Term:
        if isinstance(member.content, Statement):
            root = member.content.root
            many = sum(use.form.has_attribute for use in root.uses())
            return self._use(root, member.name, alone=many == 1)
        name = free_attribute(member.name, self._attributes())
        inner = lay_out(member.content)
        _attach(self.result, name, (inner, inner.tensors))
        order = reversed(member.reads)
        return Term(f"self.{name}({', '.join(self._names[value] for value in order)})")

    def _attributes(self) -> set[str]:
        return {name for name, _ in self.result.attributes}

    def _use(self, use: Use, node: str, *, alone: bool) -> Term:
        """Return the expression of a use; `alone` if no other part of its node has an attribute."""
        terms = [
            self._use(entry, node, alone=alone)
            if isinstance(entry, Use)
            else Term(self._names[entry])
            for entry in use.arguments
        ]
        if not use.form.has_attribute:
            return use.form.write("", terms)
        return use.form.write(f"self.{self._attribute(use, node, alone=alone)}", terms)

    def _attribute(self, use: Use, node: str, *, alone: bool) -> str:
        form = use.form
        assert form.call is not None
        key = (form.call, tuple(stored.source for stored in form.tensors))
        stateful = form.tensors and all(stored.source is not None for stored in form.tensors)
        if stateful and key in self._shared:
            return self._shared[key]
        label = form.label if form.label in _PLAIN_LABELS else _LABELS[use.slot]
        wish = node if alone or use.slot == "operation" else f"{node}_{label}"
        name = free_attribute(identifier(wish), self._attributes())
        _attach(self.result, name, (form.call, form.tensors))
        if stateful:
            self._shared[key] = name
        return name


_LABELS = {"adapter": "project", "merge": "merge", "operation": "op"}
_PLAIN_LABELS = ("gain", "pad", "mix", "pool", "upsample")
