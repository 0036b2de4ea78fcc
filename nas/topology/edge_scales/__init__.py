"""Edge scales: what a residual node multiplies its branches and its skips with, by depth.

An edge scale applies to any wiring: number `l` of its `L` residual nodes, in order, is given the
gains that the scale says for `(l, L)`. `nas.topology.residual_nodes` says which nodes these are and
which edges into them are skips or branches. All other nodes are left alone: where nothing goes
around, a branch that starts at 0 would cut the network. An edge that a pattern gave a gain keeps
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import final

from nas.registry import Paper, Parameter, Registry, complete_parameters, read_written
from nas.topology.graph import PLAIN, Architecture, Edge, EdgePair, Gain, Link, Topology
from nas.topology.residual_nodes import residual_nodes

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
    links: dict[EdgePair, Link] = dict(topology.links)
    for edge, gain in _gains(topology, scale).items():
        pair = (edge.source, edge.target)
        links[pair] = replace(topology.link(pair), gain=gain)
    return replace(topology, links=links)


def scale_architecture(architecture: Architecture, scale: str | WrittenScale) -> Architecture:
    """Return the network with the gains of a scale on the edges of its residual nodes.

    Nodes of nested cells are not counted and keep their gains: scale the cell itself.

    Raises:
        NotFoundError: If the scale is unknown.
        ConfigError: If its text or a parameter is wrong.
    """
    gains = _gains(architecture, scale)
    edges = (replace(edge, gain=gains.get(edge, edge.gain)) for edge in architecture.edges)
    return replace(architecture, edges=tuple(edges))


def _gains(graph: Topology | Architecture, scale: str | WrittenScale) -> dict[Edge, Gain]:
    """Return the new gains, by the edges they are for as these are."""
    written = read_edge_scale(scale) if isinstance(scale, str) else scale
    nodes = residual_nodes(graph)
    found: dict[Edge, Gain] = {}
    for number, node in enumerate(nodes, start=1):
        gains = written.gains(number, len(nodes))
        for side, gain in ((node.skips, gains.skip), (node.branches, gains.branch)):
            if not gain.identity:
                found |= {edge: gain for edge in side if edge.gain == PLAIN}
    return found
