"""Spaces of stages: each stage is wired by a pattern, and stages may feed later ones directly."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import Annotated, Any, Literal, cast, final

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from nas.errors import ConfigError, NotFoundError, SpaceError
from nas.space.base import AbstractSpace, check_known
from nas.space.choices import Answer, Choice, Decisions, OneOf, Option, SubsetOf, Value
from nas.space.shared_weights import holders, sharable, weight_choices
from nas.topology.edge_scales import UNSCALED, read_edge_scale, scale_topology
from nas.topology.graph import Architecture, Edge, EdgePair, Node, Topology
from nas.topology.merges import MERGES
from nas.topology.operations import OPERATIONS
from nas.topology.patterns import PATTERNS, Pattern
from nas.topology.stages import add_stage, node_names

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_+.,=()-]*$", max_length=256)]
"""A registered name, with its parameters where it has some: `csp(inner=dense)`."""
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
ScaleText = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\([a-z0-9_=.,+-]*\))?$", max_length=64)]
Size = Annotated[int, Field(ge=1, le=128)]
Width = Annotated[int, Field(ge=1, le=8192)]

EDGE_SCALE = "edge_scale"


class Strict(BaseModel):
    """A frozen part of a declaration that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NameChoice(Strict):
    """Names to choose from, once per stage or once per node."""

    choices: list[Name] = Field(min_length=1)
    per: Literal["stage", "node"] = "stage"


class MergeChoice(NameChoice):
    """Merges to choose from, numbers in brackets allowed."""

    choices: list[ScaleText] = Field(min_length=1)


class ScaleChoice(Strict):
    """Edge scales to choose from, once per stage."""

    choices: list[ScaleText] = Field(min_length=1)


class SizeChoice(Strict):
    """Numbers to choose from, once per stage."""

    choices: list[PositiveInt] = Field(min_length=1)


class StageDeclaration(Strict):
    """One stage: a value fixes a question, `{choices: [...]}` opens it."""

    pattern: Name | NameChoice
    """Pattern that wires the stage, its parameters in brackets; a joint choice, never mixed node by
    node."""
    depth: Size | SizeChoice
    """Operations of the stage; only those sizes are offered that the pattern exists for."""
    width: Width | SizeChoice
    """Output channels of every node of the stage."""
    operation: Name | NameChoice = "conv3x3"
    """What the nodes compute."""
    merge: ScaleText | MergeChoice = "default"
    """How nodes with several inputs combine them; `default` is the pattern's own rule."""
    scale: Literal["auto", "none", "rsqrt", "mean"] = "auto"
    """Factor on merged tensors: 1, d^-1/2 or 1/d for d inputs; `auto` is the merge's own."""
    edge_scale: ScaleText | ScaleChoice = UNSCALED
    """What residual nodes multiply branches and skips with, such as `rezero` or
    `decayed_identity(a_min=0.6)`; a joint choice. Depth is counted within the stage."""
    inputs: Literal["any", "one"] = "any"
    """Where a pattern leaves edges open: any set of earlier nodes feeds an operation, or exactly
    one parent, so that the stage branches; joins take any set."""
    stride: Annotated[int, Field(ge=1, le=8)] = 1
    """Factor by which the stage's transition lowers the resolution."""
    weights: Literal["own", "shared"] = "own"
    """Whether operations may share weights: with `shared`, every partition of them is a member."""


class StagedDeclaration(Strict):
    """The file form of a space of stages."""

    schema_: Literal["nas.space/1"] = Field(alias="schema")
    kind: Literal["stages"]
    name: Slug
    summary: str = ""
    stem: Name = "conv3x3"
    """Operation of the first node, which brings the image to the first stage's width."""
    transition: Name = "conv3x3"
    """Operation at the entry of every later stage; carries its stride and width."""
    stages: list[StageDeclaration] = Field(min_length=1, max_length=16)
    cross_stage_edges: Literal["none", "all", "choice"] = "none"
    """Edges from earlier stages' outputs to a later stage's entry, beyond its predecessor's."""
    plugins: list[str] = Field(default_factory=list)
    """Modules that register own operations, merges or patterns; imported before use."""


@final
class StagedSpace(AbstractSpace):
    """A stem and stages in a row, each wired by a pattern of its own.

    Args:
        declaration: The checked file.

    Raises:
        SpaceError: If a pattern exists for none of a stage's depths, or a part of the space
            cannot be built.
    """

    def __init__(self, declaration: StagedDeclaration) -> None:
        self.declaration = declaration
        self.name = declaration.name
        self.summary = declaration.summary
        _check_names(declaration)

    def to_dict(self) -> dict[str, Any]:
        """Return the declaration, as its file holds it."""
        return self.declaration.model_dump(mode="json", by_alias=True)

    @cached_property
    def _choices(self) -> tuple[Choice, ...]:
        found: list[Choice] = []
        for number, stage in enumerate(self.declaration.stages, start=1):
            found.append(_pattern_choice(f"stage{number}", stage))
            found.append(_size_choice(f"stage{number}.width", stage.width, elastic=True))
            if isinstance(stage.edge_scale, ScaleChoice):
                options = tuple(Option(text) for text in stage.edge_scale.choices)
                found.append(OneOf(f"stage{number}.{EDGE_SCALE}", options))
            items = _cross_items(number)
            if self.declaration.cross_stage_edges == "choice" and items:
                found.append(SubsetOf(f"cross.stage{number}.inputs", items, minimum=0))
        return tuple(found)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Pattern (opening depth and nodes), width, scale, cross-stage edges of every stage."""
        return self._choices

    def stage_patterns(self, decisions: Mapping[str, Answer]) -> tuple[str, ...]:
        """Return the pattern of every stage."""
        numbers = range(1, len(self.declaration.stages) + 1)
        return tuple(str(decisions[f"stage{number}.pattern"]) for number in numbers)

    def build(self, decisions: Mapping[str, Answer]) -> Architecture:
        """Return the member that `decisions` describe; parts that reach no output are left out."""
        decisions = self.normalise(decisions)
        nodes: list[Node] = [Node(name="input")]
        edges: list[Edge] = []
        outputs: list[int] = []  # the stem's, then every stage's output node
        for number, stage in enumerate(self.declaration.stages, start=1):
            width = cast(int, decisions[f"stage{number}.width"])
            first = number == 1
            entry = len(nodes)
            operation = self.declaration.stem if first else self.declaration.transition
            name = "stem" if first else f"stage{number}.in"
            nodes.append(Node(operation, width=width, stride=stage.stride, name=name))
            edges.append(Edge(0 if first else outputs[-1], entry))
            edges += [Edge(outputs[item], entry) for item in self._cross_sources(number, decisions)]
            if first:
                outputs.append(entry)
            outputs.append(_add_stage(nodes, edges, number, stage, decisions))
        return Architecture.pruned(nodes, edges, self.stage_patterns(decisions))

    def _cross_sources(self, number: int, decisions: Mapping[str, Answer]) -> list[int]:
        items = _cross_items(number)
        mode = self.declaration.cross_stage_edges
        chosen: list[str] = []
        if items and mode != "none":
            chosen = (
                list(items)
                if mode == "all"
                else cast(list[str], decisions[f"cross.stage{number}.inputs"])
            )
        return [items.index(item) for item in chosen]

    def known(self) -> dict[str, Decisions]:
        """Return each pattern used in every stage, with its published merge where offered.

        Widths are the largest, depths the middle one the pattern exists for, operations the first
        one offered; free wirings are no published form and are left out.
        """
        found: dict[str, Decisions] = {}
        offered = map(PATTERNS.get, _names(self.declaration.stages[0].pattern))
        for pattern in sorted(offered, key=lambda each: each.name):
            if any(not _offers(stage, pattern) for stage in self.declaration.stages):
                continue
            if pattern.wire(_depths(self.declaration.stages[0], pattern)[0]).optional:
                continue
            found[pattern.name] = self.walk(partial(_published, pattern.name))
        return found


def _check_names(declaration: StagedDeclaration) -> None:
    check_known(OPERATIONS, [declaration.stem], "stem")
    check_known(OPERATIONS, [declaration.transition], "transition")
    for number, stage in enumerate(declaration.stages):
        merges = [name for name in _names(stage.merge) if name != "default"]
        check_known(PATTERNS, _names(stage.pattern), f"stages.{number}.pattern")
        check_known(OPERATIONS, _names(stage.operation), f"stages.{number}.operation")
        check_known(MERGES, merges, f"stages.{number}.merge")
        _check_scales(stage.edge_scale, f"stages.{number}.{EDGE_SCALE}")


def _check_scales(field: str | ScaleChoice, where: str) -> None:
    for text in [field] if isinstance(field, str) else field.choices:
        try:
            read_edge_scale(text)
        except (ConfigError, NotFoundError) as error:
            error.where = where
            raise


def _names(field: str | NameChoice) -> list[str]:
    return [field] if isinstance(field, str) else list(field.choices)


def _sizes(field: int | SizeChoice) -> list[int]:
    return [field] if isinstance(field, int) else list(field.choices)


def _depths(stage: StageDeclaration, pattern: Pattern) -> list[int]:
    return [depth for depth in _sizes(stage.depth) if pattern.exists(depth)]


def _offers(stage: StageDeclaration, pattern: Pattern) -> bool:
    names = [PATTERNS.get(name).name for name in _names(stage.pattern)]
    return pattern.name in names and bool(_depths(stage, pattern))


def _cross_items(number: int) -> tuple[str, ...]:
    """Return what may feed stage `number` beside its predecessor: the stem and earlier stages."""
    return ("stem", *(f"stage{earlier}" for earlier in range(1, number - 1))) if number > 2 else ()


def _size_choice(name: str, field: int | SizeChoice, *, elastic: bool) -> OneOf:
    return OneOf(name, tuple(Option(size) for size in _sizes(field)), elastic)


def _pattern_choice(stage_name: str, stage: StageDeclaration) -> OneOf:
    options = []
    for name in _names(stage.pattern):
        pattern = PATTERNS.get(name)
        depths = _depths(stage, pattern)
        if not depths:
            raise SpaceError(
                f"The pattern '{name}' exists for none of the depths {_sizes(stage.depth)}.",
                where=f"{stage_name}.pattern and {stage_name}.depth",
                why=f"'{name}' exists for {pattern.sizes}.",
                fix="Add such a depth, or leave the pattern out.",
            )
        inner = tuple(
            Option(depth, _node_choices(stage_name, stage, pattern.wire(depth))) for depth in depths
        )
        options.append(Option(pattern.name, (OneOf(f"{stage_name}.depth", inner),)))
    return OneOf(f"{stage_name}.pattern", tuple(options))


def _node_choices(
    stage_name: str, stage: StageDeclaration, topology: Topology
) -> tuple[Choice, ...]:
    found: list[Choice] = []
    names = node_names(stage_name, topology)
    merging = [
        node
        for node in range(1, topology.num_nodes)
        if len(topology.sources(node)) > 1
        and topology.rule(node).merge is None
        and not _has_one_parent(stage, topology, node)
    ]
    asked = dict.fromkeys(names[node] for node in _asked_for(topology).values())
    found += _name_choices(stage_name, "operation", stage.operation, list(asked))
    if merging:
        found += _name_choices(stage_name, "merge", stage.merge, [names[node] for node in merging])
    if stage.weights == "shared":
        found += weight_choices([names[node] for node in sharable(topology, _names(stage.merge))])
    for node in range(1, topology.num_nodes):
        optional = [
            source for source in topology.sources(node) if (source, node) in topology.optional
        ]
        if not optional:
            continue
        items = tuple(_local(names[source]) for source in optional)
        if _has_one_parent(stage, topology, node):
            options = tuple(Option(item) for item in items)
            found.append(OneOf(f"{names[node]}.parent", options, parent=True))
        else:
            found.append(SubsetOf(f"{names[node]}.inputs", items))
    return tuple(found)


def _asked_for(topology: Topology) -> dict[int, int]:
    """Return, per open node, the node whose operation it has: the first of its tie, or itself."""
    first: dict[str, int] = {}
    return {
        node: first.setdefault(topology.rule(node).tie or f"node {node}", node)
        for node in topology.operations
    }


def _has_one_parent(stage: StageDeclaration, topology: Topology, node: int) -> bool:
    """Tell whether a node that could be fed by several is fed by one of them."""
    if stage.inputs == "any" or node in topology.joins:
        return False
    return all((source, node) in topology.optional for source in topology.sources(node))


def _name_choices(
    stage_name: str, question: str, field: str | NameChoice, nodes: list[str]
) -> list[Choice]:
    options = tuple(Option(name) for name in _names(field))
    if isinstance(field, NameChoice) and field.per == "node":
        return [OneOf(f"{node}.{question}", options) for node in nodes]
    return [OneOf(f"{stage_name}.{question}", options)]


def _local(name: str) -> str:
    return name.rsplit(".", 1)[1]


def _add_stage(
    nodes: list[Node],
    edges: list[Edge],
    number: int,
    stage: StageDeclaration,
    decisions: Mapping[str, Answer],
) -> int:
    """Append the stage behind the last node, its entry; return the stage's output node."""
    stage_name = f"stage{number}"
    pattern = PATTERNS.get(str(decisions[f"{stage_name}.pattern"]))
    topology = pattern.wire(cast(int, decisions[f"{stage_name}.depth"]))
    fixed = stage.edge_scale if isinstance(stage.edge_scale, str) else UNSCALED
    topology = scale_topology(topology, str(decisions.get(f"{stage_name}.{EDGE_SCALE}", fixed)))
    names = node_names(stage_name, topology)
    asked = {names[node]: names[first] for node, first in _asked_for(topology).items()}
    width = nodes[-1].width
    assert width is not None  # the stem and every transition have one

    def is_on(edge: EdgePair) -> bool:
        source, target = (names[node] for node in edge)
        parent = decisions.get(f"{target}.parent")
        chosen = decisions.get(f"{target}.inputs") if parent is None else [str(parent)]
        return not isinstance(chosen, list) or _local(source) in chosen

    operations = {name: _answer(decisions, first, "operation") for name, first in asked.items()}
    shared: dict[str, str] = {}
    if stage.weights == "shared":
        sharing = [names[node] for node in sharable(topology, _names(stage.merge))]
        shared = holders(decisions, {name: operations[name] for name in sharing})
    return add_stage(
        nodes,
        edges,
        topology,
        name=stage_name,
        width=width,
        operation=operations.__getitem__,
        merge=lambda name: _answer(decisions, name, "merge", "default"),
        scale=stage.scale,
        on=is_on,
        tie=shared.get,
    )


def _answer(
    decisions: Mapping[str, Answer], node_name: str, question: str, default: str = ""
) -> str:
    stage_name = node_name.rsplit(".", 1)[0]
    for name in (f"{node_name}.{question}", f"{stage_name}.{question}"):
        if name in decisions:
            return str(decisions[name])
    return default


def _published(pattern: str, choice: Choice) -> Answer:
    """Answer a question as the published form of `pattern` does."""
    if isinstance(choice, SubsetOf):
        return [] if choice.minimum == 0 else choice.default()
    values: list[Value] = [option.value for option in choice.options]
    question = choice.name.rsplit(".", 1)[1]
    if question == "pattern":
        return pattern
    if question == "width":
        return max(values)
    if question == "depth":
        return values[len(values) // 2]
    if question == "merge":
        published = PATTERNS.get(pattern).wire(PATTERNS.get(pattern).smallest()).merge
        return published if published in values else values[0]
    return values[0]
