"""Edge scales: what a residual node multiplies its branches and its skips with, by depth.

An edge scale applies to any wiring. *An edge is a skip if another way leads from its source to its
target*; the other edges into the same node are its branches. A node with a skip and a branch is a
*residual node*: number `l` of the `L` residual nodes of a wiring, in order, is given the gains that
the scale says for `(l, L)`. All other nodes are left alone: where nothing goes around, a branch
that starts at 0 would cut the network. So a chain has no residual node, nor has the join of a
fractal, whose inputs all come from operations side by side; the skip past the stem's first block is
one, whatever computes its source.

Three kinds of edges are neither: those of the port `mask` (they gate, they are not added), those
that carry a part of the channels (what goes around is other channels), and optional ones as skips
(a space may switch them off, and the branch alone would be left). An edge that a pattern gave a
gain keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, final

from nas.registry import Paper, Parameter, Registry, complete_parameters, read_written
from nas.topology.graph import PLAIN, WHOLE, Architecture, EdgePair, Gain, Link, Topology
from nas.topology.merges import MERGES

UNSCALED = "unscaled"


@final
@dataclass(frozen=True)
class ResidualGains:
    """What a residual node multiplies its inputs with; the default changes nothing."""

    branch: Gain = PLAIN
    skip: Gain = PLAIN


ScaleRule = Callable[..., ResidualGains]
"""From `l`, `L` and the parameters by keyword to the gains of residual node `l` of `L`."""


@final
@dataclass(frozen=True)
class EdgeScale:
    """A registered scale.

    Args:
        name: Registered name.
        rule: From `l` (1 to L), `L` and the parameters to the gains.
        parameters: Numbers that may be written behind the name.
        summary: First line of the rule's docstring.
    """

    name: str
    rule: ScaleRule
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    summary: str = ""


EDGE_SCALES: Registry[EdgeScale] = Registry("edge scale", package=__name__)


def edge_scale(
    name: str, paper: Paper | None = None, **parameters: Parameter
) -> Callable[[ScaleRule], ScaleRule]:
    """Register the decorated rule under `name`, with the numbers it takes.

    Raises:
        ConfigError: If the name is taken.
    """

    def decorate(rule: ScaleRule) -> ScaleRule:
        summary = (rule.__doc__ or "").strip().splitlines()[0] if rule.__doc__ else ""
        EDGE_SCALES.add(name, EdgeScale(name, rule, dict(parameters), summary), paper)
        return rule

    return decorate


@final
@dataclass(frozen=True)
class WrittenScale:
    """An edge scale with its numbers, as in `decayed_identity(a_min=0.6)`."""

    scale: EdgeScale
    values: Mapping[str, float]

    def gains(self, number: int, count: int) -> ResidualGains:
        """Return the gains of residual node `number` (from 1) of `count`."""
        return self.scale.rule(number, count, **self.values)


def read_edge_scale(text: str) -> WrittenScale:
    """Read `NAME` or `NAME(key=number,...)`.

    Raises:
        NotFoundError: If there is no such scale; the closest one is named.
        ConfigError: If the text is malformed, or a parameter is unknown or out of range.
    """
    name, numbers = read_written(text)
    scale = EDGE_SCALES.get(name)
    return WrittenScale(scale, complete_parameters(text, scale.parameters, numbers))


def scale_topology(topology: Topology, scale: str | WrittenScale) -> Topology:
    """Return the wiring with the gains of a scale on the edges of its residual nodes.

    Raises:
        NotFoundError: If the scale is unknown.
        ConfigError: If its text or a parameter is wrong.
    """
    written = read_edge_scale(scale) if isinstance(scale, str) else scale
    links: dict[EdgePair, Link] = dict(topology.links)
    for entry, gain in _gains(_residual_nodes(*_wiring(topology)), written):
        links[entry.source, entry.target] = replace(entry.link, gain=gain)
    return replace(topology, links=links)


def scale_architecture(architecture: Architecture, scale: str | WrittenScale) -> Architecture:
    """Return the network with the gains of a scale on the edges of its residual nodes.

    Nodes of nested cells are not counted and keep their gains: scale the cell itself.

    Raises:
        NotFoundError: If the scale is unknown.
        ConfigError: If its text or a parameter is wrong.
    """
    written = read_edge_scale(scale) if isinstance(scale, str) else scale
    entries = [
        _Entry(edge.source, edge.target, Link(edge.transform, edge.port, edge.part, edge.gain))
        for edge in architecture.edges
    ]
    adding = [_adds(node.merge) for node in architecture.nodes]
    gains = {id(entry): gain for entry, gain in _gains(_residual_nodes(entries, adding), written)}
    edges = (
        replace(edge, gain=gains.get(id(entry), edge.gain))
        for edge, entry in zip(architecture.edges, entries, strict=True)
    )
    return replace(architecture, edges=tuple(edges))


Side = Literal["skip", "branch"]


def sides(topology: Topology) -> dict[EdgePair, Side]:
    """Return which edges into residual nodes are skips and which are branches."""
    found: dict[EdgePair, Side] = {}
    for skips, branches in _residual_nodes(*_wiring(topology)):
        found |= {(entry.source, entry.target): "skip" for entry in skips}
        found |= {(entry.source, entry.target): "branch" for entry in branches}
    return found


@final
@dataclass(frozen=True)
class _Entry:
    """One edge of either kind of graph."""

    source: int
    target: int
    link: Link
    optional: bool = False


def _wiring(topology: Topology) -> tuple[list[_Entry], list[bool]]:
    """Return the edges, and for every node whether it adds what it reads."""
    entries = [
        _Entry(*edge, topology.link(edge), edge in topology.optional)
        for edge in sorted(topology.edges)
    ]
    merges = [topology.rule(node).merge or topology.merge for node in range(topology.num_nodes)]
    return entries, [_adds(merge) for merge in merges]


def _gains(
    nodes: list[tuple[list[_Entry], list[_Entry]]], written: WrittenScale
) -> Iterator[tuple[_Entry, Gain]]:
    for number, (skips, branches) in enumerate(nodes, start=1):
        gains = written.gains(number, len(nodes))
        for side, gain in ((skips, gains.skip), (branches, gains.branch)):
            if not gain.identity:
                yield from ((entry, gain) for entry in side if entry.link.gain == PLAIN)


def _residual_nodes(
    entries: list[_Entry], adding: list[bool]
) -> list[tuple[list[_Entry], list[_Entry]]]:
    """Return the skips and the branches of every residual node, in order of the nodes."""
    num_nodes = len(adding)
    into: list[list[_Entry]] = [[] for _ in range(num_nodes)]
    for entry in entries:
        into[entry.target].append(entry)
    before = [0] * num_nodes  # per node: the nodes that reach it, as bits
    found: list[tuple[list[_Entry], list[_Entry]]] = []
    for node in range(1, num_nodes):
        sources = {entry.source for entry in into[node]}
        behind_sources = 0
        for source in sources:
            behind_sources |= before[source]
        before[node] = behind_sources | sum(1 << source for source in sources)
        if len(sources) < 2 or not adding[node]:
            continue
        added = [entry for entry in into[node] if entry.link.port != "mask"]
        around = [entry for entry in added if behind_sources >> entry.source & 1]
        skips = [entry for entry in around if entry.link.part == WHOLE and not entry.optional]
        branches = [entry for entry in added if entry not in around]
        if skips and branches:
            found.append((skips, branches))
    return found


def _adds(merge: str) -> bool:
    """Tell whether a merge is linear in its inputs, so that a gain is a weight of a summand."""
    return merge in MERGES and bool(getattr(MERGES.get(merge), "linear", True))
