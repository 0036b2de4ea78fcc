"""Which parts of a graph a relaxed choice governs, found by asking the space and comparing.

Nothing here reads names of choices: a member is built with each answer and the graphs are compared.
So a user's own space relaxes as soon as it builds. What a choice governs depends on the joint
choices (pattern, depth) above it only, and is kept by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, final

from nas.space import AbstractSpace, Choice, Decisions, OneOf, SubsetOf
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.merges import MERGES
from nas.topology.operations import OPERATIONS

Value = TypeVar("Value")
Role = Literal["joint", "edges", "parent", "merge", "operation"]
Path = tuple[str, ...]
"""A node's name behind those of the cells it is nested in."""
EdgePath = tuple[Path, str]
"""A target's path and the name of the source beside it."""


def role(choice: Choice) -> Role:
    """Return how a choice is relaxed.

    Subsets are edges, and so are parents, of which one is chosen; choices among linear merges or
    among operations are mixed (or sampled); all others, those that offer a merge of another form
    and those that open further questions, are joint and sampled whole.
    """
    if isinstance(choice, SubsetOf):
        return "edges"
    if any(option.choices for option in choice.options):
        return "joint"
    if choice.parent:
        return "parent"
    values = [option.value for option in choice.options]
    if all(value in MERGES or value == "default" for value in values):
        named = [MERGES.get(str(value)) for value in values if value != "default"]
        return "merge" if all(rule.linear for rule in named) else "joint"
    return "operation" if all(value in OPERATIONS for value in values) else "joint"


@final
@dataclass(frozen=True)
class Governed:
    """What one choice decides.

    Args:
        choice: The choice.
        edges: Per item of a subset or per parent, the edges it switches.
        parents: The edges among which a parent is chosen, with their transforms.
        merges: Per node, its merge and scale under every option.
        operations: Per node, its operation under every option.
        transforms: Per edge, its transform under every option; None where it is absent.
    """

    choice: Choice
    edges: tuple[tuple[EdgePath, ...], ...] = ()
    merges: Mapping[Path, tuple[tuple[str, str], ...]] | None = None
    operations: Mapping[Path, tuple[str, ...]] | None = None
    transforms: Mapping[EdgePath, tuple[str | None, ...]] | None = None
    parents: Mapping[EdgePath, str] | None = None


@final
@dataclass(frozen=True)
class Flat:
    """The nodes and edges of an architecture and of all that is nested in it, by name."""

    nodes: Mapping[Path, Node]
    edges: Mapping[EdgePath, str]


def flatten(architecture: Architecture) -> Flat:
    """Return nodes and edges by name."""
    nodes: dict[Path, Node] = {}
    edges: dict[EdgePath, str] = {}
    for path, level in _levels((), architecture):
        names = [node_name(node, index) for index, node in enumerate(level.nodes)]
        nodes.update({(*path, name): node for name, node in zip(names, level.nodes, strict=True)})
        for edge in level.edges:
            edges[(*path, names[edge.target]), names[edge.source]] = edge.transform
    return Flat(nodes, edges)


def node_name(node: Node, index: int) -> str:
    """Return the node's own name, or `nodeN`."""
    return node.name or f"node{index}"


def _levels(path: Path, architecture: Architecture) -> Iterator[tuple[Path, Architecture]]:
    yield path, architecture
    for index, node in enumerate(architecture.nodes):
        if node.cell is not None:
            yield from _levels((*path, node_name(node, index)), node.cell)


@final
class Binder:
    """Finds what choices govern, and remembers it.

    Args:
        space: The space.
    """

    def __init__(self, space: AbstractSpace) -> None:
        self.space = space
        self._known: dict[tuple[object, ...], Governed] = {}
        self._top: dict[str, str] = {}
        self._joint: set[str] = set()
        for top in space.choices:
            for choice in _below(top):
                self._top[choice.name] = top.name
                if role(choice) == "joint":
                    self._joint.add(choice.name)

    def govern(self, choice: Choice, base: Decisions) -> Governed:
        """Return what `choice` decides.

        Args:
            choice: A relaxed choice that is asked under `base`.
            base: A member with all edges on.
        """
        top = self._top[choice.name]
        if top == choice.name and isinstance(choice, SubsetOf):
            return self._find(choice, base)  # edges between parts: their ends depend on all parts
        above = tuple(
            (name, answer)
            for name, answer in base.items()
            if name in self._joint and self._top[name] == top
        )
        key = (choice.name, above)
        if key not in self._known:
            self._known[key] = self._find(choice, base)
        return self._known[key]

    def _find(self, choice: Choice, base: Decisions) -> Governed:
        if isinstance(choice, SubsetOf):
            return Governed(choice, self._switched(choice, base))
        flats = [
            flatten(self.space.build({**base, choice.name: option.value}))
            for option in choice.options
        ]
        if role(choice) == "parent":
            return _parents(choice, flats)
        return Governed(
            choice,
            merges=_varying(flats, lambda node: (node.merge, node.scale)),
            operations=_varying(flats, lambda node: node.operation),
            transforms=_varying_edges(flats),
        )

    def _switched(self, choice: SubsetOf, base: Decisions) -> tuple[tuple[EdgePath, ...], ...]:
        """Return the edges of every item: those that vanish with it while their target stays."""
        full = flatten(self.space.build({**base, choice.name: list(choice.items)}))
        found = []
        for item in choice.items:
            kept = [other for other in choice.items if other != item]
            if len(kept) < choice.minimum:
                return ((),) * len(choice.items)  # the only item: always on, no gate
            less = flatten(self.space.build({**base, choice.name: kept}))
            found.append(
                tuple(
                    edge for edge in full.edges if edge not in less.edges and edge[0] in less.nodes
                )
            )
        return tuple(found)


def _parents(choice: OneOf, flats: list[Flat]) -> Governed:
    """Return the edges that come and go with the parent, where their target always stands."""
    switched = tuple(
        tuple(
            edge
            for edge in flat.edges
            if any(edge not in other.edges for other in flats)
            and all(edge[0] in other.nodes for other in flats)
        )
        for flat in flats
    )
    transforms: dict[EdgePath, str] = {}
    for flat, edges in zip(flats, switched, strict=True):
        transforms.update({edge: flat.edges[edge] for edge in edges})
    return Governed(choice, switched, parents=transforms)


def with_edges(
    architecture: Architecture, added: Mapping[EdgePath, str], above: Path = ()
) -> Architecture:
    """Return an architecture, and all that is nested in it, with more edges.

    Args:
        architecture: A member.
        added: Edges by name, with their transforms; those that are there already stay as they are,
            and those between nodes that are not there are left out.
        above: What the architecture is nested in.
    """
    names = [node_name(node, index) for index, node in enumerate(architecture.nodes)]
    known = {(edge.source, edge.target) for edge in architecture.edges}
    places = {name: index for index, name in enumerate(names)}
    named = [
        (source, path[-1], transform)
        for (path, source), transform in added.items()
        if path[:-1] == above and {source, path[-1]} <= places.keys()
    ]
    edges = [
        Edge(places[source], places[target], transform)
        for source, target, transform in named
        if (places[source], places[target]) not in known
    ]
    nodes = tuple(
        node
        if node.cell is None
        else replace(node, cell=with_edges(node.cell, added, (*above, name)))
        for name, node in zip(names, architecture.nodes, strict=True)
    )
    return replace(architecture, nodes=nodes, edges=(*architecture.edges, *edges))


def _below(choice: Choice) -> Iterator[Choice]:
    yield choice
    if isinstance(choice, OneOf):
        for option in choice.options:
            for inner in option.choices:
                yield from _below(inner)


def _varying(flats: list[Flat], read: Callable[[Node], Value]) -> dict[Path, tuple[Value, ...]]:
    """Return what `read` says of each node under every option, for the nodes where it varies."""
    found = {}
    for path in flats[0].nodes:
        values = tuple(read(flat.nodes[path]) for flat in flats if path in flat.nodes)
        if len(values) == len(flats) and len(set(values)) > 1:
            found[path] = values
    return found


def _varying_edges(flats: list[Flat]) -> dict[EdgePath, tuple[str | None, ...]]:
    every = dict.fromkeys(edge for flat in flats for edge in flat.edges)
    found = {edge: tuple(flat.edges.get(edge) for flat in flats) for edge in every}
    return {edge: values for edge, values in found.items() if len(set(values)) > 1}
