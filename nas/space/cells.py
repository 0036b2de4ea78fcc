"""Spaces of cells with an operation on every edge, in the form of NAS-Bench-201.

One cell is repeated throughout, or each stage, or each place, has a cell of its own. Cells of their
own let early and late ones differ (D-DARTS, Li et al. 2021, arXiv:2108.09306); the space grows by
a power.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import combinations
from typing import Annotated, Any, Literal, final

from pydantic import Field

from nas.space.base import AbstractSpace, check_known
from nas.space.choices import Answer, Choice, Decisions, OneOf, Option
from nas.space.staged import Name, Slug, Strict, Width
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.identity import trained_id
from nas.topology.operations import OPERATIONS


class CellStage(Strict):
    """A row of equal cells."""

    cells: Annotated[int, Field(ge=1, le=64)]
    width: Width


class CellDeclaration(Strict):
    """The cell: every pair of nodes is joined by one of the operations."""

    nodes: Annotated[int, Field(ge=2, le=8)]
    operations: list[Name] = Field(min_length=1)
    per: Literal["all", "stage", "cell"] = "all"
    """Whose cell it is: the same everywhere, one per stage, or one per place."""


class CellSpaceDeclaration(Strict):
    """The file form of a space of one cell."""

    schema_: Literal["nas.space/1"] = Field(alias="schema")
    kind: Literal["cells"]
    name: Slug
    summary: str = ""
    stem: Name = "conv3x3_bn"
    cell: CellDeclaration
    stages: list[CellStage] = Field(min_length=1, max_length=8)
    final: Name = "bn_relu"
    """Operation behind the last cell."""
    plugins: list[str] = Field(default_factory=list)


@final
class CellSpace(AbstractSpace):
    """A stem, rows of cells, and a residual reduction block between rows.

    The skeleton is that of NAS-Bench-201 (Dong and Yang 2020, arXiv:2001.00326); its shortcut is
    average pooling and a 1x1 convolution, here with the batch norm that adapters carry.
    """

    def __init__(self, declaration: CellSpaceDeclaration) -> None:
        self.declaration = declaration
        self.name = declaration.name
        self.summary = declaration.summary
        check_known(OPERATIONS, [declaration.stem], "stem")
        check_known(OPERATIONS, [declaration.final], "final")
        check_known(OPERATIONS, declaration.cell.operations, "cell.operations")

    def to_dict(self) -> dict[str, Any]:
        """Return the declaration, as its file holds it."""
        return self.declaration.model_dump(mode="json", by_alias=True)

    @cached_property
    def _choices(self) -> tuple[Choice, ...]:
        options = tuple(Option(name) for name in self.declaration.cell.operations)
        return tuple(
            OneOf(f"{owner}.edge{source}-{target}", options)
            for owner in self.owners
            for source, target in self._pairs
        )

    @cached_property
    def owners(self) -> tuple[str, ...]:
        """What has choices of its own: `cell`, or every stage's `stage1`, or `stage1.cell1`."""
        stages = list(enumerate(self.declaration.stages, start=1))
        places = [self._owner(n, i) for n, stage in stages for i in range(1, stage.cells + 1)]
        return tuple(dict.fromkeys(places))

    def _owner(self, stage: int, index: int) -> str:
        per = self.declaration.cell.per
        if per == "all":
            return "cell"
        return f"stage{stage}" if per == "stage" else f"stage{stage}.cell{index}"

    @cached_property
    def _pairs(self) -> tuple[tuple[int, int], ...]:
        pairs = combinations(range(self.declaration.cell.nodes), 2)
        return tuple(sorted(pairs, key=lambda pair: (pair[1], pair[0])))

    @property
    def choices(self) -> tuple[Choice, ...]:
        """One operation per edge of every cell that has choices of its own."""
        return self._choices

    def stage_patterns(self, decisions: Mapping[str, Answer]) -> tuple[str, ...]:
        """Return `cell`: all rows are of cells."""
        return ("cell",)

    def cell(self, decisions: Mapping[str, Answer], owner: str | None = None) -> Architecture:
        """Return a cell alone: nodes sum their edges, an absent path yields zeros.

        Args:
            decisions: A member.
            owner: One of `owners`; None for the first, which is the only one of `per: all`.
        """
        decisions = self.normalise(decisions)
        return self._cell(decisions, owner or self.owners[0])

    def _cell(self, decisions: Mapping[str, Answer], owner: str) -> Architecture:
        nodes = tuple(Node(name=f"node{index}") for index in range(self.declaration.cell.nodes))
        edges = [
            Edge(source, target, str(decisions[f"{owner}.edge{source}-{target}"]))
            for source, target in self._pairs
        ]
        live = tuple(edge for edge in edges if not OPERATIONS.get(edge.transform).zero)
        return Architecture(nodes, live, zero_allowed=True)

    def build(self, decisions: Mapping[str, Answer]) -> Architecture:
        """Return the whole network around the cells."""
        decisions = self.normalise(decisions)
        cells = {owner: self._cell(decisions, owner) for owner in self.owners}
        stages = self.declaration.stages
        nodes = [
            Node(name="input"),
            Node(self.declaration.stem, width=stages[0].width, name="stem"),
        ]
        edges = [Edge(0, 1)]
        for number, stage in enumerate(stages, start=1):
            if number > 1:
                _add_reduction(nodes, edges, f"reduction{number - 1}", stage.width)
            for index in range(1, stage.cells + 1):
                edges.append(Edge(len(nodes) - 1, len(nodes)))
                cell = cells[self._owner(number, index)]
                nodes.append(Node(cell=cell, name=f"stage{number}.cell{index}"))
        edges.append(Edge(len(nodes) - 1, len(nodes)))
        nodes.append(Node(self.declaration.final, name="final"))
        return Architecture(tuple(nodes), tuple(edges), self.stage_patterns(decisions))

    def member_id(self, decisions: Mapping[str, Answer]) -> str:
        """Return the id of the cell, or of the whole where cells differ.

        The skeleton is the same for all members.
        """
        if self.declaration.cell.per == "all":
            return trained_id(self.cell(decisions))
        return trained_id(self.build(decisions))

    def known(self) -> dict[str, Decisions]:
        """Return the ResNet-like cell where its operations are offered.

        A chain of two 3x3 convolutions beside the identity, as in the reduction block.
        """
        offered = self.declaration.cell.operations
        wanted = {(0, 3): "identity", (0, 1): "relu_conv3x3_bn", (1, 3): "relu_conv3x3_bn"}
        if self.declaration.cell.nodes != 4 or not {"none", *wanted.values()} <= set(offered):
            return {}
        return {
            "residual": {
                f"{owner}.edge{source}-{target}": wanted.get((source, target), "none")
                for owner in self.owners
                for source, target in self._pairs
            }
        }


def _add_reduction(nodes: list[Node], edges: list[Edge], name: str, width: int) -> None:
    """Append a residual block that halves the resolution."""
    start = len(nodes) - 1
    nodes.append(Node("relu_conv3x3_bn", width=width, stride=2, name=f"{name}.conv1"))
    nodes.append(Node("relu_conv3x3_bn", width=width, name=f"{name}.conv2"))
    nodes.append(Node(name=f"{name}.sum"))
    edges += [
        Edge(start, start + 1),
        Edge(start + 1, start + 2),
        Edge(start, start + 3),
        Edge(start + 2, start + 3),
    ]
