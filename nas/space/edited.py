"""Spaces of edits: a published network to start from, and which of its parts may change.

The base is always a member, so a search starts from it (Li et al. 2021, arXiv:2108.09306, begin
from hand-made networks) and reports how far the edits carry. Which states may feed a merging node,
which merges it uses and what its operations compute are choices like those of every other space.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Literal, cast, final

from pydantic import Field

from nas.errors import NasError, SpaceError
from nas.space.base import AbstractSpace, check_known
from nas.space.choices import Answer, Choice, Decisions, OneOf, Option, SubsetOf
from nas.space.staged import Name, Slug, Strict
from nas.topology.facts import PLAIN, Gain
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.merges import MERGES
from nas.topology.operations import OPERATIONS
from nas.topology.published import build_published_text

Operation = Annotated[str, Field(min_length=1, max_length=256)]


class SkipEdits(Strict):
    """Which connections may be added to merging nodes, and dropped from them."""

    reach: Annotated[int, Field(ge=1, le=64)] = 2
    """States that are offered: the last so many merging nodes, and the base's own sources."""
    start: Literal["plain", "zero"] = "plain"
    """Whether a new connection has a learned factor that starts at 0, so that adding it leaves the
    network's output as it was (ReZero, arXiv:2003.04887)."""


class OperationEdits(Strict):
    """Which operations may stand in for others."""

    of: list[Operation] = Field(min_length=1)
    """Operations of the base that may change, wherever they stand behind the stem."""
    choices: list[Operation] = Field(min_length=1)
    """What they may become; the base's own is always offered."""


class MergeEdits(Strict):
    """Which merges a merging node may use."""

    choices: list[Name] = Field(min_length=1)
    """Beside the base's own."""


class EditedSpaceDeclaration(Strict):
    """The file form of a space of edits."""

    schema_: Literal["nas.space/1"] = Field(alias="schema")
    kind: Literal["edits"]
    name: Slug
    summary: str = ""
    base: Annotated[str, Field(min_length=1, max_length=256)]
    """A published network, as `nas arch build` takes it: `resnet-cifar:depth=20`."""
    skips: SkipEdits | None = None
    operations: OperationEdits | None = None
    merges: MergeEdits | None = None
    plugins: list[str] = Field(default_factory=list)


@final
class EditedSpace(AbstractSpace):
    """A published network and the edits it is open to.

    Args:
        declaration: The checked file.

    Raises:
        NotFoundError: If the base, an operation or a merge is unknown.
        ConfigError: If an option of the base is not allowed.
        SpaceError: If no edit applies to the base.
    """

    def __init__(self, declaration: EditedSpaceDeclaration) -> None:
        self.declaration = declaration
        self.name = declaration.name
        self.summary = declaration.summary
        if declaration.operations is not None:
            check_known(OPERATIONS, declaration.operations.choices, "operations.choices")
            check_known(OPERATIONS, declaration.operations.of, "operations.of")
        if declaration.merges is not None:
            check_known(MERGES, declaration.merges.choices, "merges.choices")
        try:
            self.base = _named(build_published_text(declaration.base))
        except NasError as error:
            error.where = "base"
            raise
        if not self.choices:
            raise SpaceError(
                f"No edit of the space '{self.name}' applies to {declaration.base}.",
                fix="Declare skips, merges, or operations that the base has: "
                f"{', '.join(sorted({node.operation for node in self.base.nodes[1:]}))}.",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the declaration, as its file holds it."""
        return self.declaration.model_dump(mode="json", by_alias=True)

    @cached_property
    def _choices(self) -> tuple[Choice, ...]:
        return (*self._operation_choices(), *self._merge_choices(), *self._skip_choices())

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Operations and merges of nodes, and the states that feed merging nodes."""
        return self._choices

    def _operation_choices(self) -> Iterator[Choice]:
        edits = self.declaration.operations
        for node in self.base.nodes[2:] if edits is not None else ():  # the stem stays
            if edits is not None and node.cell is None and node.operation in edits.of:
                names = dict.fromkeys([node.operation, *edits.choices])
                yield OneOf(f"{node.name}.operation", tuple(Option(name) for name in names))

    def _merge_choices(self) -> Iterator[Choice]:
        edits = self.declaration.merges
        for index in self._merging if edits is not None else ():
            node = self.base.nodes[index]
            if edits is not None and node.merge != "stack":
                names = dict.fromkeys([node.merge, *edits.choices])
                yield OneOf(f"{node.name}.merge", tuple(Option(name) for name in names))

    def _skip_choices(self) -> Iterator[Choice]:
        for index, sources in self._offered.items():
            names = tuple(self.base.nodes[source].name for source in sources)
            yield SubsetOf(f"{self.base.nodes[index].name}.inputs", names, minimum=0)

    @cached_property
    def _merging(self) -> tuple[int, ...]:
        """Nodes with several inputs: where states meet."""
        return tuple(
            index for index in range(1, len(self.base.nodes)) if len(self.base.inputs(index)) > 1
        )

    @cached_property
    def _offered(self) -> dict[int, tuple[int, ...]]:
        """Per merging node, the states that may feed it beside its newest source."""
        skips = self.declaration.skips
        if skips is None:
            return {}
        found: dict[int, tuple[int, ...]] = {}
        states = [1]  # the stem, then every merging node
        for index in self._merging:
            own = [edge.source for edge in self.base.inputs(index)]
            newest = max(own)
            near = [state for state in states[-skips.reach :] if state < newest]
            found[index] = tuple(sorted({*near, *own} - {newest, 0}))
            states.append(index)
        return {index: sources for index, sources in found.items() if sources}

    def stage_patterns(self, decisions: Mapping[str, Answer]) -> tuple[str, ...]:
        """Return the patterns of the base: edits keep its stages."""
        return self.base.wiring

    def build(self, decisions: Mapping[str, Answer]) -> Architecture:
        """Return the edited network; parts that reach no output are left out."""
        decisions = self.normalise(decisions)
        nodes = tuple(self._node(node, decisions) for node in self.base.nodes)
        edges: list[Edge] = []
        for index in range(1, len(nodes)):
            edges += self._edges(index, decisions)
        return Architecture.pruned(nodes, edges, self.base.wiring)

    def _node(self, node: Node, decisions: Decisions) -> Node:
        operation = str(decisions.get(f"{node.name}.operation", node.operation))
        keeps = OPERATIONS.get(operation).keeps_channels
        merge = str(decisions.get(f"{node.name}.merge", node.merge))
        width = None if keeps else node.width
        return replace(node, operation=operation, merge=merge, width=width)

    def _edges(self, index: int, decisions: Decisions) -> Iterator[Edge]:
        own = self.base.inputs(index)
        offered = self._offered.get(index, ())
        chosen = decisions.get(f"{self.base.nodes[index].name}.inputs", [])
        for edge in own:
            if edge.source not in offered or self._is_chosen(edge.source, chosen):
                yield edge
        known = {edge.source for edge in own}
        zero = self.declaration.skips is not None and self.declaration.skips.start == "zero"
        gain = Gain("scalar", 0.0) if zero else PLAIN
        for source in offered:
            if source not in known and self._is_chosen(source, chosen):
                yield Edge(source, index, gain=gain)

    def _is_chosen(self, source: int, chosen: Answer) -> bool:
        return self.base.nodes[source].name in cast(list[str], chosen)

    def known(self) -> dict[str, Decisions]:
        """Return the base itself, by the pattern of its stages."""
        return {self.family({}): self.walk(self._of_base)}

    def _of_base(self, choice: Choice) -> Answer:
        if isinstance(choice, OneOf):
            return choice.default()  # the base's own stands first
        name = choice.name.removesuffix(".inputs")
        index = next(number for number, node in enumerate(self.base.nodes) if node.name == name)
        own = {self.base.nodes[edge.source].name for edge in self.base.inputs(index)}
        return [item for item in choice.items if item in own]


def _named(base: Architecture) -> Architecture:
    """Give every node a name, since choices are filed under names."""
    nodes = tuple(
        replace(node, name=node.name or f"node{index}") for index, node in enumerate(base.nodes)
    )
    return replace(base, nodes=nodes)
