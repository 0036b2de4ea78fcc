"""Which modules of a written network share weights, told in as few lines as there are ties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import final

from nas.export.source.pieces import Stored


@final
@dataclass
class _Branch:
    """A place in the tree of modules."""

    children: dict[str, _Branch] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    source: tuple[int, ...] | None = None
    stored: bool = False


def first_of_each(tensors: Sequence[Stored]) -> list[Stored]:
    """Return the tensors that a file holds: of shared ones the first."""
    seen: set[tuple[int, ...]] = set()
    kept = []
    for stored in tensors:
        if stored.source is None or stored.source not in seen:
            kept.append(stored)
        if stored.source is not None:
            seen.add(stored.source)
    return kept


def ties(tensors: Sequence[Stored]) -> list[tuple[str, str, bool]]:
    """Return `(first, second, whole)`: the second module reads the weights of the first.

    Without `whole` the two are single parameters.
    """
    owners: dict[tuple[int, ...], tuple[str, ...]] = {}
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    root = _Branch()
    for stored in tensors:
        path = tuple(stored.name.split("."))
        branch = root
        for depth, piece in enumerate(path, 1):
            branch = branch.children.setdefault(piece, _Branch(path=path[:depth]))
        branch.stored, branch.source = True, stored.source
        if stored.source is None:
            continue
        first = owners.setdefault(stored.source, path)
        if first != path:
            found[path] = first
    return [
        (python_path(first), python_path(branch.path), not branch.stored)
        for first, branch in _largest(root, found)
    ]


def _largest(
    branch: _Branch, found: dict[tuple[str, ...], tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], _Branch]]:
    """Yield the largest modules whose parameters are all those of one other module."""
    first = _counterpart(branch, found)
    if first:
        yield first, branch
        return
    for child in branch.children.values():
        yield from _largest(child, found)


def _counterpart(
    branch: _Branch, found: dict[tuple[str, ...], tuple[str, ...]]
) -> tuple[str, ...] | None:
    """Return the module whose parameters are all those of this one, if there is one."""
    if branch.stored:
        return found.get(branch.path)
    shared = {
        (leaf.path[len(branch.path) :], found.get(leaf.path))
        for leaf in _leaves(branch)
        if leaf.source is not None
    }
    firsts = {
        first[: -len(rest)] if first is not None and first[-len(rest) :] == rest else None
        for rest, first in shared
    }
    return firsts.pop() if len(firsts) == 1 else None


def _leaves(branch: _Branch) -> Iterator[_Branch]:
    if branch.stored:
        yield branch
    for child in branch.children.values():
        yield from _leaves(child)


def python_path(path: Sequence[str]) -> str:
    """Return a path of modules as an expression: `self.stage1[0].op2`."""
    return "self" + "".join(f"[{piece}]" if piece.isdigit() else f".{piece}" for piece in path)
