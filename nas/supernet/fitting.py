"""What a relaxation finds in a space: which choices it leaves open, and what is mixed where.

Parts look at this before anything is trained or written, so that a method that says nothing about
a space is refused at once. It loads no torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import final

from nas.cost.shapes import Plan, plan
from nas.space import AbstractSpace, Choice, Decisions, OneOf, SubsetOf
from nas.supernet.binding import Binder, Path, flatten, node_name, role
from nas.supernet.relaxation_config import RelaxationSettings
from nas.topology.merges import MERGES

Shape = tuple[int, int, int]


@final
@dataclass(frozen=True)
class Site:
    """Where operations are mixed.

    Args:
        name: The node, or the edge as `target<source`.
        channels: Of the operations' input.
        outputs: Channels of their output.
        stride: Of the operations.
    """

    name: str
    channels: int
    outputs: int
    stride: int


@final
class Fitting:
    """A space under the settings of a relaxation.

    Args:
        space: The space.
        settings: How it is to be relaxed.
        input_shape: `(channels, height, width)` of an image; widths of nodes hardly depend on it.
    """

    def __init__(
        self, space: AbstractSpace, settings: RelaxationSettings, input_shape: Shape
    ) -> None:
        self.space = space
        self.settings = settings
        self.input_shape = input_shape

    @cached_property
    def relaxed(self) -> tuple[Choice, ...]:
        """The choices with more than one answer that stay continuous."""
        return tuple(
            choice
            for choice in every_choice(self.space)
            if choice.members > 1 and not self._is_sampled(choice)
        )

    def _is_sampled(self, choice: Choice) -> bool:
        kind = role(choice)
        return kind == "joint" or (kind == "operation" and self.settings.operations == "sampled")

    @property
    def options(self) -> tuple[OneOf, ...]:
        """Relaxed choices among options."""
        return tuple(choice for choice in self.relaxed if isinstance(choice, OneOf))

    @property
    def subsets(self) -> tuple[SubsetOf, ...]:
        """Relaxed choices of sets of edges."""
        return tuple(choice for choice in self.relaxed if isinstance(choice, SubsetOf))

    def whole_merge(self) -> tuple[str, str] | None:
        """Return a node whose inputs are relaxed under a merge that has no mixture, and the merge.

        Only linear merges are mixed: what another one computes depends on which edges are on, and
        not on each by itself.
        """
        binder = Binder(self.space)
        for base in self.space.cover():
            nodes = flatten(self.space.build(base)).nodes
            whole = {path for path in nodes if not MERGES.get(nodes[path].merge).linear}
            found = whole & self._merging(binder, base) if whole else whole
            if found:
                path = min(found)
                return "/".join(path), nodes[path].merge
        return None

    def _merging(self, binder: Binder, base: Decisions) -> set[Path]:
        """Return the nodes whose inputs or merge a relaxed choice governs."""
        found: set[Path] = set()
        for choice in self.space.asked(base):
            if choice.members > 1 and not self._is_sampled(choice):
                governed = binder.govern(choice, base)
                found.update(path for edges in governed.edges for path, _ in edges)
                found.update(governed.merges or ())
                found.update(path for path, _ in governed.transforms or ())
        return found

    def mixed_sites(self) -> tuple[Site, ...]:
        """Return every node and edge whose operations are mixed, over the covering members."""
        if not any(role(choice) == "operation" for choice in self.relaxed):
            return ()
        binder = Binder(self.space)
        found: dict[Site, None] = {}
        for base in self._bases():
            schedule = plan(self.space.build(base), self.input_shape)
            nodes, edges = self._governed(binder, base)
            for path, level in _levels((), schedule):
                found.update(dict.fromkeys(_sites(level, path, nodes, edges)))
        return tuple(found)

    def _governed(self, binder: Binder, base: Decisions) -> tuple[set[Path], set[tuple[Path, str]]]:
        nodes: set[Path] = set()
        edges: set[tuple[Path, str]] = set()
        for choice in self.space.asked(base):
            if role(choice) == "operation":
                governed = binder.govern(choice, base)
                nodes |= set(governed.operations or ())
                edges |= set(governed.transforms or ())
        return nodes, edges

    def _bases(self) -> Iterator[Decisions]:
        for member in self.space.cover():
            yield member
            for choice in self.space.asked(member):
                if isinstance(choice, OneOf) and choice.elastic:
                    for option in choice.options:
                        yield {**member, choice.name: option.value}


def every_choice(space: AbstractSpace) -> Iterator[Choice]:
    """Yield every choice that can ever be asked, once per name."""
    seen: set[str] = set()
    waiting: list[Choice] = list(space.choices)
    while waiting:
        choice = waiting.pop(0)
        if choice.name not in seen:
            seen.add(choice.name)
            yield choice
        if isinstance(choice, OneOf):
            inner = (option.choices for option in choice.options)
            waiting.extend(itertools.chain.from_iterable(inner))


def _levels(above: Path, schedule: Plan) -> Iterator[tuple[Path, Plan]]:
    yield above, schedule
    for step in schedule.steps:
        if step.cell is not None:
            yield from _levels((*above, node_name(step.node, step.index)), step.cell)


def _sites(
    level: Plan, above: Path, nodes: set[Path], edges: set[tuple[Path, str]]
) -> Iterator[Site]:
    names = [node_name(step.node, step.index) for step in level.steps]
    for step in level.steps:
        path = (*above, names[step.index])
        if path in nodes:
            yield Site("/".join(path), step.merged[0], step.output[0], step.node.stride)
        for entry in step.inputs:
            source = names[entry.edge.source]
            if (path, source) in edges:
                adapter = entry.adapter
                stride = 1 if adapter.source[1:] == adapter.target[1:] else 2
                name = f"{'/'.join(path)}<{source}"
                yield Site(name, adapter.source[0], adapter.target[0], stride)
