"""How far apart two networks are: the least number of small changes that turn one into the other.

One step adds, removes or changes an edge, adds or removes a node without edges, or changes what a
node computes, how it merges, or its head (two or more of these at one node count as two steps). It
is a graph edit distance (Sanfeliu and Fu 1983) of the flat graphs, whose input corresponds to input
and output to output, and whose other nodes may correspond in any order. What sets a node's shape,
and what an input is to a merge that tells its inputs apart, are part of an edge; names and ties are
of no account.

What holds, and is tested: the distance is symmetric; it is 0 exactly where one renumbering maps all
nodes and edges onto each other, which implies equal structural ids (the reverse does not hold: an
identity node more is a step, and computes the same); it obeys the triangle inequality; and a single
edit of an edge, an operation or a merge is one step away, unless other edges change what they are
to their node by it. All this is said of the exact value. Finding it is hard (NP-complete), so the
search stops after `effort` states and then returns bounds: `lower` is proven, `upper` comes with a
correspondence that reaches it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import NamedTuple, final

from nas.topology.distance_search import GraphPair, LabelledWiring, improve
from nas.topology.edits.lineage import graph_digest
from nas.topology.flatten import flatten
from nas.topology.graph import Architecture, Edge
from nas.topology.lookups import node_merge
from nas.topology.measures import carries
from nas.topology.symbolic import architecture_shapes

EFFORT = 20_000
_LARGEST_TABLE = 1_000_000


@final
@dataclass(frozen=True)
class EditDistance:
    """A distance, or bounds on it.

    Args:
        lower: No fewer steps will do.
        upper: So many steps will do.
        pairs: Which node of the first graph (flat) is which of the second, for `upper`.
    """

    lower: int
    upper: int
    pairs: Mapping[int, int]

    @property
    def exact(self) -> bool:
        """Whether the bounds meet."""
        return self.lower == self.upper


def edit_distance(
    first: Architecture, second: Architecture, *, effort: int = EFFORT
) -> EditDistance:
    """Return the edit distance of two networks, or bounds on it.

    Args:
        first: A network; its cells are flattened.
        second: Another one.
        effort: States of the search; more of them prove more. Graphs of up to eight nodes rarely
            need more than the default, larger ones that differ in a few places do not either.

    Raises:
        ArchitectureError: If an operation, merge or transform is unknown.
    """
    graphs = flatten(first), flatten(second)
    pair = GraphPair(labelled(graphs[0]), labelled(graphs[1]))
    best = min(_guesses(pair), key=pair.steps)
    lower, upper, pairs = improve(pair, best, effort)
    return EditDistance(lower, upper, pairs)


@final
class GraphDifference(NamedTuple):
    """What a correspondence leaves over, in numbers of the flat graphs.

    `changed` holds pairs of nodes that compute, merge or leave differently; edges are given with
    their ends.
    """

    removed_nodes: list[int]
    added_nodes: list[int]
    changed: list[tuple[int, int]]
    removed_edges: list[Edge]
    added_edges: list[Edge]


def difference(
    first: Architecture, second: Architecture, pairs: Mapping[int, int]
) -> GraphDifference:
    """Return what differs between two networks under a correspondence of their flat nodes."""
    ours, theirs = flatten(first), flatten(second)
    left, right = labelled(ours), labelled(theirs)
    back = {other: node for node, other in pairs.items()}
    return GraphDifference(
        [node for node in range(len(ours.nodes)) if node not in pairs],
        [node for node in range(len(theirs.nodes)) if node not in back],
        [(n, m) for n, m in sorted(pairs.items()) if left.nodes[n] != right.nodes[m]],
        _unmatched(ours, left, right, pairs),
        _unmatched(theirs, right, left, back),
    )


def _roles(graph: Architecture, index: int, live: list[Edge]) -> tuple[str, ...]:
    """Return what each input is to its node's merge; a merge of one input is the identity."""
    if len(live) < 2:
        return ("",) * len(live)
    rule = node_merge(graph, index).at(len(live))
    if rule.weight == "stacked":
        return tuple(str(place) for place in range(len(live)))
    return rule.input_roles([edge.port for edge in live])


def _unmatched(
    graph: Architecture, own: LabelledWiring, other: LabelledWiring, pairs: Mapping[int, int]
) -> list[Edge]:
    rest = {ends: Counter(labels) for ends, labels in other.edges.items()}
    left = []
    for edge, label in zip(graph.edges, edge_labels(graph), strict=True):
        ends = (pairs.get(edge.source, -1), pairs.get(edge.target, -1))
        if rest.get(ends, Counter())[label]:
            rest[ends][label] -= 1
        else:
            left.append(edge)
    return left


def labelled(graph: Architecture) -> LabelledWiring:
    """Return a flat graph with everything that a step may change as labels."""
    nodes = []
    for index, node in enumerate(graph.nodes):
        what = node.operation if node.cell is None else f"cell {graph_digest(node.cell)}"
        computes = f"{what} {node.width} {node.stride}" if index else "input"
        merge = f"{node.merge} {node.scale}" if index else ""
        ends = graph.head if index == len(graph.nodes) - 1 else ""
        nodes.append((computes, merge, f"{ends} exit" if node.exit else ends))
    edges: dict[tuple[int, int], list[str]] = {}
    for edge, label in zip(graph.edges, edge_labels(graph), strict=True):
        edges.setdefault((edge.source, edge.target), []).append(label)
    names = tuple(node.name for node in graph.nodes)
    return LabelledWiring(tuple(nodes), {k: tuple(sorted(v)) for k, v in edges.items()}, names)


def edge_labels(graph: Architecture) -> list[str]:
    """Return what every edge does, and its place where that matters."""
    shapes = architecture_shapes(graph)
    texts: dict[Edge, str] = {}
    for index in range(1, len(graph.nodes)):
        edges = graph.inputs(index)
        live = [edge for edge in edges if carries(edge)]
        mains = [edge for edge in live if edge.port == "main"] or live[-1:]
        differ = len({shapes[edge.source] for edge in live}) > 1
        roles = _roles(graph, index, live)
        role_of = dict(zip(live, roles, strict=True))
        for edge in edges:
            gain = f"{edge.gain.kind} {edge.gain.value!r}"
            words = [edge.transform, edge.port, f"{edge.part[0]}/{edge.part[1]}", gain]
            words += ["sets the shape"] if differ and edge in mains else []
            words += [role] if (role := role_of.get(edge, "")) else []
            texts[edge] = " ".join(words)
    return [texts[edge] for edge in graph.edges]


def _guesses(pair: GraphPair) -> list[dict[int, int]]:
    """Return correspondences worth starting from: by number, by name, and by labels in order."""
    ours, theirs = pair.first, pair.second
    ends = {0: 0, ours.size - 1: theirs.size - 1}
    guesses = [{n: n for n in range(1, min(ours.size, theirs.size) - 1)}]
    places = {name: node for node, name in enumerate(theirs.names[:-1]) if node and name}
    known = {name: node for node, name in enumerate(ours.names[:-1]) if node and name in places}
    guesses.append({node: places[name] for name, node in known.items()})
    if ours.size * theirs.size <= _LARGEST_TABLE:
        inner = (ours.nodes[1:-1], theirs.nodes[1:-1])
        blocks = SequenceMatcher(None, *inner, autojunk=False).get_matching_blocks()
        guesses.append({b.a + step + 1: b.b + step + 1 for b in blocks for step in range(b.size)})
    return [{**guess, **ends} for guess in guesses]
