"""From statements to blocks: what a class of the file holds, as the names of the nodes say.

Nodes whose names begin alike (`stage2.block1.op1`, `stage2.block1.op2`) stand in one block, and so
do the nodes of a cell. Groups that would have to run in turns are taken apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Union, final

import networkx as nx

from nas.export.source.naming import identifier
from nas.export.source.statements import Statement

Content = Union[Statement, "Block"]


@final
@dataclass(frozen=True)
class Member:
    """A statement or a block, and its name within the block that holds it."""

    name: str
    content: Content

    @property
    def reads(self) -> tuple[int, ...]:
        """The values it reads."""
        if isinstance(self.content, Block):
            return self.content.inputs
        return tuple(self.content.root.reads())

    @property
    def values(self) -> tuple[int, ...]:
        """The values it computes for others."""
        if isinstance(self.content, Block):
            return self.content.outputs
        return (self.content.value,)

    @property
    def is_module(self) -> bool:
        """Whether an `nn.Sequential` could hold it."""
        if isinstance(self.content, Block):
            return True
        root = self.content.root
        has_call = root.form.call is not None and root.form.call.name != "gain"
        return has_call and len(root.arguments) == 1 and isinstance(root.arguments[0], int)


@final
@dataclass(frozen=True)
class Block:
    """Members in order of execution, what they read from outside, and what is read from them."""

    path: tuple[str, ...]
    members: tuple[Member, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def blocks(found: Sequence[Statement], outputs: Iterable[int]) -> Block:
    """Return the whole network as a block of blocks."""
    whole = _Builder(found, tuple(outputs)).block(list(found), ())
    return replace(whole, inputs=(0,))


@final
class _Builder:
    def __init__(self, found: Sequence[Statement], outputs: tuple[int, ...]) -> None:
        self._wanted = outputs
        self._readers: dict[int, list[int]] = {}
        for statement in found:
            for value in statement.root.reads():
                self._readers.setdefault(value, []).append(statement.value)

    def block(self, found: list[Statement], path: tuple[str, ...]) -> Block:
        """Return the block of these statements, whose places begin with `path`."""
        own = {statement.value for statement in found}
        members = self._members(found, path)
        read = [value for statement in found for value in statement.root.reads()]
        inputs = tuple(dict.fromkeys(sorted(set(read) - own)))
        outputs = tuple(value for value in sorted(own) if self._leaves(value, own))
        return Block(path, tuple(members), inputs, outputs)

    def _leaves(self, value: int, own: set[int]) -> bool:
        outside = any(reader not in own for reader in self._readers.get(value, ()))
        return outside or value in self._wanted

    def _members(self, found: list[Statement], path: tuple[str, ...]) -> list[Member]:
        depth = len(path)
        groups: dict[str, list[Statement]] = {}
        for statement in found:
            key = statement.place[depth] if len(statement.place) > depth else ""
            groups.setdefault(key, []).append(statement)
        ordered = _ordered(list(groups.items()))
        return self._in_runs([self._member(key, entries, path) for key, entries in ordered], path)

    def _in_runs(self, members: list[Member], path: tuple[str, ...]) -> list[Member]:
        """Put members that run one after the other, `block1`, `block2` ..., into one."""
        if path and all(self._follows(*pair) for pair in pairwise(members)):
            return members  # all of them: the block is such a run itself
        result: list[list[Member]] = []
        for member in members:
            if result and _alike(result[-1][-1], member) and self._follows(result[-1][-1], member):
                result[-1].append(member)
            else:
                result.append([member])
        return [self._run(run, path) for run in result]

    def _follows(self, first: Member, second: Member) -> bool:
        """Tell whether both are modules, and the second alone reads what the first computes."""
        if not (first.is_module and second.is_module) or len(first.values) != 1:
            return False
        if second.reads != first.values or first.values[0] in self._wanted:
            return False
        return set(self._readers[first.values[0]]) <= set(_inside(second))

    def _run(self, run: list[Member], path: tuple[str, ...]) -> Member:
        if len(run) == 1:
            return run[0]
        name = f"{_stem(run[0].name)}s"
        inner = Block((*path, name), tuple(run), run[0].reads, run[-1].values)
        return Member(name, inner)

    def _member(self, key: str, entries: list[Statement], path: tuple[str, ...]) -> Member:
        if len(entries) == 1:
            place = entries[0].place[len(path) :]
            return Member(identifier("_".join(place), "op"), entries[0])
        inner = self.block(entries, (*path, key))
        return Member(identifier(key, "part"), inner)


_KEPT = ("stage", "cell")
"""Names by which people speak of the parts of a network, so that each stays by itself."""


def _stem(name: str) -> str:
    return name.rstrip("0123456789_") or name


def _alike(first: Member, second: Member) -> bool:
    """Tell whether two blocks are numbered parts of one kind."""
    stem = _stem(first.name)
    both = isinstance(first.content, Block) and isinstance(second.content, Block)
    return both and stem == _stem(second.name) and stem not in _KEPT


def _inside(member: Member) -> list[int]:
    """Return the values that are computed inside of a member."""
    if isinstance(member.content, Statement):
        return [member.content.value]
    return [value for inner in member.content.members for value in _inside(inner)]


Group = tuple[str, list[Statement]]


def _ordered(groups: list[Group]) -> list[Group]:
    """Return groups so that each reads only earlier ones; those that cannot be so fall apart."""
    owner = {entry.value: place for place, (_, group) in enumerate(groups) for entry in group}
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(groups)))
    for place, (_, group) in enumerate(groups):
        for entry in group:
            sources = {owner[value] for value in entry.root.reads() if value in owner}
            graph.add_edges_from((source, place) for source in sources if source != place)
    tangled = {
        place
        for component in nx.strongly_connected_components(graph)
        if len(component) > 1
        for place in component
    }
    apart = [place for place, (key, group) in enumerate(groups) if not key and len(group) > 1]
    tangled.update(apart)
    if tangled:
        return _ordered(_taken_apart(groups, tangled))
    order = nx.lexicographical_topological_sort(graph, key=lambda place: groups[place][1][0].value)
    return [groups[place] for place in order]


def _taken_apart(groups: list[Group], tangled: set[int]) -> list[Group]:
    """Return the groups with every statement of the tangled ones by itself."""
    result: list[Group] = []
    for place, (key, entries) in enumerate(groups):
        if place in tangled:
            result.extend((f"{key}/{number}", [entry]) for number, entry in enumerate(entries))
        else:
            result.append((key, entries))
    return result
