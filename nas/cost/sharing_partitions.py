"""Which operations share weights, as a search under a budget of parameters.

Operations that hold weights of one shape may share them. A *partition* says who does: groups of
nodes, each with one set of weights. A partition of k operations into g groups costs g sets, so the
budget bounds the groups of every class of alike operations, and how many partitions fit is counted
without enumerating them (Stirling numbers, and a sum over classes). Drawing is uniform over all
that fit. The task is that of Plummer et al. 2020 (neural parameter allocation search,
arXiv:2006.10598), who also let layers of different shapes share parts of a store; here only whole
weights of one shape are shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import final

import numpy as np

from nas.cost.count import cost
from nas.cost.shapes import NodeStep, plan
from nas.errors import ConfigError
from nas.topology.graph import Architecture
from nas.topology.layers import Shape

Partition = tuple[tuple[int, ...], ...]
"""Groups of node numbers, each sorted, in order of their first nodes; single nodes included."""

MAX_ALIKE = 400


@final
@dataclass(frozen=True)
class SharingClass:
    """Nodes that may share weights.

    Args:
        nodes: Their numbers.
        parameters: Trainable numbers of one set of weights.
    """

    nodes: tuple[int, ...]
    parameters: int


@final
@dataclass(frozen=True)
class SharingSearch:
    """All ways in which the operations of a network may share weights.

    Ties that the network has are not looked at: every partition writes its own.

    Args:
        architecture: The network.
        input_shape: `(channels, height, width)` of its images.
        num_classes: Outputs of its heads.
        own_norms: Whether norms stay apart where weights are shared.
    """

    architecture: Architecture
    input_shape: Shape
    num_classes: int
    own_norms: bool = True

    @cached_property
    def classes(self) -> tuple[SharingClass, ...]:
        """Alike operations with weights, by their first node.

        Raises:
            ConfigError: If there are too many of one kind.
        """
        alike: dict[tuple[object, ...], list[int]] = {}
        for step in plan(self._untied, self.input_shape).steps[1:]:
            if _own(step):
                alike.setdefault(_owner(step), []).append(step.index)
        found = []
        for nodes in alike.values():
            if len(nodes) > MAX_ALIKE:
                raise ConfigError(
                    f"{len(nodes)} operations are alike; partitions of at most {MAX_ALIKE} are "
                    "searched.",
                    fix="Search a part of the network, or nest it in cells.",
                )
            if len(nodes) == 1:
                found.append(SharingClass(tuple(nodes), 0))
                continue
            shared = self._parameters(self.apply((tuple(nodes),)))
            size = (self.largest - shared) // (len(nodes) - 1)
            found.append(SharingClass(tuple(nodes), size))
        return tuple(found)

    @cached_property
    def _untied(self) -> Architecture:
        nodes = (replace(node, tie=None, own_norms=False) for node in self.architecture.nodes)
        return replace(self.architecture, nodes=tuple(nodes))

    def _parameters(self, architecture: Architecture) -> int:
        return cost(architecture, self.input_shape, self.num_classes).parameters

    @cached_property
    def largest(self) -> int:
        """Parameters of the network when nothing is shared."""
        return self._parameters(self._untied)

    @cached_property
    def smallest(self) -> int:
        """Parameters when everything is shared that can be."""
        return self.largest - sum(
            (len(group.nodes) - 1) * group.parameters for group in self.classes
        )

    def parameters(self, partition: Partition) -> int:
        """Return the parameters of the network under a partition."""
        sizes = {node: group.parameters for group in self.classes for node in group.nodes}
        return self.largest - sum((len(group) - 1) * sizes[group[0]] for group in partition)

    def apply(self, partition: Partition) -> Architecture:
        """Return the network with the ties of a partition.

        Raises:
            ConfigError: If a group names a node twice or nodes that cannot share weights.
        """
        nodes = list(self._untied.nodes)
        steps = plan(self._untied, self.input_shape).steps
        seen: set[int] = set()
        for group in partition:
            self._check_group(group, steps, seen)
            if len(group) < 2:
                continue
            for place, node in enumerate(group):
                own = self.own_norms and place > 0
                nodes[node] = replace(nodes[node], tie=f"shared{group[0]}", own_norms=own)
        return replace(self._untied, nodes=tuple(nodes))

    def _check_group(self, group: Sequence[int], steps: Sequence[NodeStep], seen: set[int]) -> None:
        label = self.architecture.label
        for node in group:
            if not 0 < node < len(steps):
                raise ConfigError(f"A group names node {node}, which is not there.")
            if node in seen:
                raise ConfigError(f"{label(node)} is in two groups.", fix="Name it once.")
            seen.add(node)
            if _owner(steps[node]) != _owner(steps[group[0]]):
                raise ConfigError(
                    f"{label(group[0])} and {label(node).lower()} cannot share weights.",
                    why="They differ in operation or channels.",
                    fix="Group nodes of one class: see SharingSearch.classes.",
                )

    def count(self, budget: int | None = None) -> int:
        """Return how many partitions fit into a budget of parameters; all of them for None."""
        return _ways(self._sets(), self._room(budget))

    def partitions(self, budget: int | None = None) -> Iterator[Partition]:
        """Yield all partitions that fit; their number grows faster than exponentially."""
        yield from self._complete(0, self._room(budget), ())

    def _complete(self, number: int, room: int, done: Partition) -> Iterator[Partition]:
        if number == len(self.classes):
            yield tuple(sorted(done))
            return
        group = self.classes[number]
        for split in _set_partitions(group.nodes):
            left = room - (len(split) - 1) * group.parameters
            if left >= 0:
                yield from self._complete(number + 1, left, (*done, *split))

    def sample(self, rng: np.random.Generator, budget: int | None = None) -> Partition:
        """Draw a partition, each that fits into the budget as likely as the others.

        Raises:
            ConfigError: If none fits.
        """
        room, sets = self._room(budget), self._sets()
        found: list[tuple[int, ...]] = []
        for number, group in enumerate(self.classes):
            size, rest = len(group.nodes), sets[number + 1 :]
            ways = [
                _stirling(size, groups) * _ways(rest, room - (groups - 1) * group.parameters)
                for groups in range(1, size + 1)
            ]
            groups = 1 + _draw(rng, ways)
            room -= (groups - 1) * group.parameters
            found += _random_split(group.nodes, groups, rng)
        return tuple(sorted(found))

    def neighbour(
        self, partition: Partition, rng: np.random.Generator, budget: int | None = None
    ) -> Partition:
        """Return a partition in which one node has moved to another group, or alone.

        All moves that fit into the budget are as likely; without any the partition is returned.
        Every partition reaches every other that fits by such moves through the one that shares all.

        Args:
            partition: A partition of this network, as `sample` gives it.
            rng: Source of the draw.
            budget: Most parameters.

        Raises:
            ConfigError: If no partition fits.
        """
        most = self.smallest + self._room(budget)
        moves = [
            moved
            for group in self.classes
            for node in group.nodes
            for moved in _moves(partition, node, group.nodes)
            if self.parameters(moved) <= most
        ]
        return moves[int(rng.integers(len(moves)))] if moves else partition

    def _sets(self) -> tuple[tuple[int, int], ...]:
        return tuple((len(group.nodes), group.parameters) for group in self.classes)

    def _room(self, budget: int | None) -> int:
        """Return the parameters that may be spent beyond those of the smallest network."""
        if budget is None:
            return self.largest - self.smallest
        if budget < self.smallest:
            raise ConfigError(
                f"No partition has {budget} parameters or fewer.",
                why=f"With everything shared that can be, the network has {self.smallest}.",
                fix=f"Allow at least {self.smallest}, or make the network smaller.",
            )
        return min(budget, self.largest) - self.smallest


def _moves(partition: Partition, node: int, alike: tuple[int, ...]) -> Iterator[Partition]:
    """Yield the partitions in which a node stands in another group of its class, or alone."""
    home = next(group for group in partition if node in group)
    others = [group for group in partition if group != home]
    left = tuple(each for each in home if each != node)
    kept = [left] if left else []
    for group in others:
        if group[0] in alike:
            rest = [each for each in others if each != group]
            yield tuple(sorted([*rest, *kept, tuple(sorted((*group, node)))]))
    if left:
        yield tuple(sorted([*others, left, (node,)]))


def _own(step: NodeStep) -> bool:
    """Tell whether a node holds weights that could be shared."""
    if step.cell is not None:
        return False
    return step.operation is not None and step.operation.parametric


def _owner(step: NodeStep) -> tuple[object, ...]:
    return (step.operation, step.node.cell, step.merged[0], step.output[0])


@lru_cache(maxsize=65_536)
def _stirling(items: int, groups: int) -> int:
    """Return the ways to split `items` into `groups` groups: Stirling numbers, second kind."""
    if items == groups:
        return 1
    if groups < 1 or groups > items:
        return 0
    return groups * _stirling(items - 1, groups) + _stirling(items - 1, groups - 1)


@lru_cache(maxsize=65_536)
def _ways(sets: tuple[tuple[int, int], ...], room: int) -> int:
    """Return the partitions of classes (size, parameters) whose further sets fit into `room`."""
    if room < 0:
        return 0
    if not sets:
        return 1
    (size, parameters), rest = sets[0], sets[1:]
    return sum(
        _stirling(size, groups) * _ways(rest, room - (groups - 1) * parameters)
        for groups in range(1, size + 1)
    )


def _draw(rng: np.random.Generator, ways: Sequence[int]) -> int:
    """Draw a position with exact whole-number weights of any size."""
    total = sum(ways)
    place = int.from_bytes(rng.bytes((total.bit_length() + 71) // 8), "big") % total
    for position, weight in enumerate(ways):
        place -= weight
        if place < 0:
            return position
    raise AssertionError("the weights add up to their sum")


def _random_split(
    nodes: Sequence[int], groups: int, rng: np.random.Generator
) -> list[tuple[int, ...]]:
    """Split nodes into so many groups, each way as likely as the others."""
    if not nodes:
        return []
    last, before = nodes[-1], nodes[:-1]
    alone = _stirling(len(before), groups - 1) if before or groups == 1 else 0
    joined = groups * _stirling(len(before), groups)
    if not before or _draw(rng, (alone, joined)) == 0:
        return [*_random_split(before, groups - 1, rng), (last,)]
    split = _random_split(before, groups, rng)
    chosen = int(rng.integers(groups))
    split[chosen] = (*split[chosen], last)
    return split


def _set_partitions(nodes: Sequence[int]) -> Iterator[Partition]:
    """Yield all ways to split nodes into groups."""
    if not nodes:
        yield ()
        return
    last = nodes[-1]
    for split in _set_partitions(nodes[:-1]):
        yield (*split, (last,))
        for number, group in enumerate(split):
            yield (*split[:number], (*group, last), *split[number + 1 :])
