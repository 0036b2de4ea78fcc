"""The merges of a network, and their inputs: sides, what is computed, columns.

A *column* of a merge is one of its inputs, ranked by the longest path to it, the deepest first. A
merge that feeds only another merge is part of that one, and their columns are ranked together, so
that nested pairwise joins and one join over all have the same columns. Keeping column `c` at every
merge leaves exactly one path of the network: in a fractal the chain of its c-th column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, final

from nas.cost.shapes import NodeStep, Plan
from nas.topology.graph import Edge
from nas.topology.residual_nodes import adds, residual_nodes

Side = Literal["skip", "branch", "neither"]


@final
@dataclass(frozen=True)
class MergingInput:
    """One input of a merge.

    Args:
        side: As `nas.topology.residual_nodes` has it; `neither` away from residual nodes.
        computed: Whether it comes straight from an operation with layers or from a cell.
        columns: Ranks of the columns that end here, 0 the deepest: one, or those of a merge that
            only feeds this one.
    """

    side: Side
    computed: bool
    columns: tuple[int, ...]


@final
@dataclass(frozen=True)
class MergingNode:
    """A node that adds two inputs or more.

    Args:
        path: Numbers of the nodes whose cells it is in, outermost first, then its own.
        inputs: Its live inputs, oldest source first.
        columns: Columns of the merge, or of the one that it is part of.
        scale: Factor of the merge: `none`, `rsqrt`, `mean`, or `pairwise` for nested means of two.
        residual: Its number among the network's residual nodes, from 1; 0 if it is none.
        residuals: Residual nodes of the network.
    """

    path: tuple[int, ...]
    inputs: tuple[MergingInput, ...]
    columns: int
    scale: str
    residual: int = 0
    residuals: int = 0


def merging_nodes(plan: Plan) -> tuple[MergingNode, ...]:
    """Return the merges of a network in the order they run, those of nested cells included."""
    found = list(_find(plan, ()))
    residual = [{"skip", "branch"} <= {entry.side for entry in node.inputs} for node in found]
    return tuple(
        replace(node, residual=sum(residual[: index + 1]) * own, residuals=sum(residual))
        for index, (node, own) in enumerate(zip(found, residual, strict=True))
    )


def _find(plan: Plan, path: tuple[int, ...]) -> Iterator[MergingNode]:
    sides: dict[Edge, Side] = {}
    for node in residual_nodes(plan.architecture):
        sides.update(dict.fromkeys(node.skips, "skip"))
        sides.update(dict.fromkeys(node.branches, "branch"))
    columns, counts = _Columns(plan).all()
    for step in plan.steps[1:]:
        here = (*path, step.index)
        if is_merging(step):
            inputs = tuple(
                MergingInput(
                    sides.get(entry.edge, "neither"),
                    entry.adapter.operation is not None or computes(plan.steps[entry.edge.source]),
                    columns[step.index, position],
                )
                for position, entry in enumerate(step.inputs)
            )
            scale = "pairwise" if step.merge.weight == "pairwise" else step.scale
            yield MergingNode(here, inputs, counts[step.index], scale)
        if step.cell is not None:
            yield from _find(step.cell, here)


def is_merging(step: NodeStep) -> bool:
    """Tell whether a node adds two live inputs or more, so that one can be left out."""
    return len(step.inputs) > 1 and adds(step.node.merge)


def computes(step: NodeStep) -> bool:
    """Tell whether a node has layers, its own or those of a cell."""
    return step.cell is not None or (step.operation is not None and bool(step.operation.layers))


_Leaf = tuple[int, int, int]
"""Longest path to an input of a merge, number of its source, position among the inputs."""


class _Columns:
    """Ranks the columns of every merge of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.depth = [0] * len(plan.steps)
        self.readers = [0] * len(plan.steps)
        for step in plan.steps[1:]:
            longest = max((self.depth[entry.edge.source] for entry in step.inputs), default=0)
            self.depth[step.index] = longest + computes(step)
            for entry in step.inputs:
                self.readers[entry.edge.source] += 1
        self.ranks: dict[tuple[int, int], tuple[int, ...]] = {}
        self.counts: dict[int, int] = {}

    def all(self) -> tuple[dict[tuple[int, int], tuple[int, ...]], dict[int, int]]:
        """Return the columns of every (merge, input), and how many each merge has."""
        for step in reversed(self.plan.steps[1:]):
            if is_merging(step) and step.index not in self.counts:
                leaves = sorted(self._leaves(step), reverse=True)
                self._assign(step, {leaf: rank for rank, leaf in enumerate(leaves)})
        return self.ranks, self.counts

    def _part(self, source: int) -> NodeStep | None:
        """Return a source that is a merge and feeds nothing but another merge."""
        step = self.plan.steps[source]
        whole = is_merging(step) and not computes(step) and self.readers[source] == 1
        return step if whole else None

    def _leaves(self, step: NodeStep) -> list[_Leaf]:
        found: list[_Leaf] = []
        for position, entry in enumerate(step.inputs):
            part = self._part(entry.edge.source)
            found += self._leaves(part) if part is not None else [self._leaf(step, position)]
        return found

    def _leaf(self, step: NodeStep, position: int) -> _Leaf:
        source = step.inputs[position].edge.source
        return self.depth[source], source, position

    def _assign(self, step: NodeStep, order: dict[_Leaf, int]) -> None:
        self.counts[step.index] = len(order)
        for position, entry in enumerate(step.inputs):
            part = self._part(entry.edge.source)
            if part is None:
                leaves = [self._leaf(step, position)]
            else:
                leaves = self._leaves(part)
                self._assign(part, order)
            self.ranks[step.index, position] = tuple(sorted(order[leaf] for leaf in leaves))
