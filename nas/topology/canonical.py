"""Exact canonical forms of labelled directed acyclic graphs.

Two graphs have the same canonical form exactly when a renaming of vertices maps one to the other,
labels included. A colouring by 64-bit hashes of what lies below and above each vertex tells nearly
all vertices apart in microseconds; it only chooses an order and never decides equality, because
the form spells out every label and edge. Where vertices stay alike, `nas.topology.symmetry`
searches for the order exactly (individualisation and refinement, McKay and Piperno 2014,
arXiv:1301.1493). An iterated hash alone would not do: it gives different wirings one value.

Many graphs at once go through `nas.topology.canonical_batch`, which computes the same colours and
the same bytes with arrays.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import final

from nas.errors import TopologyError
from nas.topology.symmetry import symmetric_order

LabelledEdge = tuple[int, int, str]

MASK = (1 << 64) - 1
DOWN, UP, STEP = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""Odd factors of the hashes: of a pass along the edges, of one against them, of one edge."""

MAX_PASSES = 64


@final
@dataclass(frozen=True)
class LabelledGraph:
    """A directed acyclic graph with a label on every vertex and edge.

    Args:
        labels: One label per vertex; vertices are numbered from 0.
        edges: `(source, target, label)`; parallel edges are allowed, repetitions count.
    """

    labels: tuple[str, ...]
    edges: tuple[LabelledEdge, ...]


def canonical_form(graph: LabelledGraph) -> bytes:
    """Return bytes that are equal for isomorphic graphs and for no others.

    They depend on nothing but the graph: not on the process, its hash seed, or the version of
    Python.

    Raises:
        TopologyError: If the graph has a cycle or an edge to a vertex that is not there.
    """
    order = canonical_order(graph)
    position = [0] * len(order)
    for rank, vertex in enumerate(order):
        position[vertex] = rank
    texts = {
        label: [edge_text(place, label) for place in position]
        for label in {edge[2] for edge in graph.edges}
    }
    into: list[list[str]] = [[] for _ in order]
    for source, target, label in graph.edges:
        into[target].append(texts[label][source])
    lines = [f"{vertex_text(graph.labels[v])}{','.join(sorted(into[v]))}" for v in order]
    return encoded("\n".join(lines))


def vertex_text(label: str) -> str:
    """Write the beginning of a vertex's line; the length in front keeps labels from forgery."""
    return f"{len(label)}:{label}<"


def edge_text(position: int, label: str) -> str:
    """Write an edge from the vertex at `position`."""
    return f"{position}>{len(label)}:{label}"


def encoded(text: str) -> bytes:
    """Return the bytes of a text, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


def canonical_order(graph: LabelledGraph) -> list[int]:
    """Return the vertices in an order that isomorphic graphs share, up to automorphism.

    Raises:
        TopologyError: If the graph has a cycle or an edge to a vertex that is not there.
    """
    colours = _hash_colours(graph)
    if len(set(colours)) == len(colours):
        return sorted(range(len(colours)), key=colours.__getitem__)
    # A label beside its colour: should two hashes ever collide, exactness is not lost.
    keys = list(zip(colours, graph.labels, strict=True))
    rank = {key: number for number, key in enumerate(sorted(set(keys)))}
    return symmetric_order([rank[key] for key in keys], graph.edges)


def _hash_colours(graph: LabelledGraph) -> list[int]:
    """Colour vertices by hashes of their surroundings until no pass tells more of them apart."""
    codes = {label: text_hash(label) for label in {edge[2] for edge in graph.edges}}
    order, below, above = _neighbours(graph, {label: rank for rank, label in enumerate(codes)})
    colours = [text_hash(label) for label in graph.labels]
    distinct, size = len(set(colours)), len(colours)
    for turn in range(MAX_PASSES):
        if turn % 2 == 0:
            _pass(colours, order, below, list(codes.values()), DOWN)
        else:
            _pass(colours, order[::-1], above, list(codes.values()), UP)
        now = len(set(colours))
        # A pass leaves colours stable in its own direction, the one before did so in the other.
        if now == size or (now == distinct and turn > 0):
            break
        distinct = now
    return colours


Neighbours = list[list[int]]
"""Per vertex and edge on one side: the other vertex, plus the number of vertices for every label
before the edge's."""


def _pass(
    colours: list[int], order: list[int], neighbours: Neighbours, codes: list[int], salt: int
) -> None:
    """Mix into every colour the new colours of its neighbours on one side, in any order of them."""
    size = len(colours)
    mixed = [0] * (size * len(codes))  # what an edge brings depends on its vertex and label alone
    for vertex in order:
        total = sum([mixed[other] for other in neighbours[vertex]])
        total = (colours[vertex] * salt + total * STEP) & MASK
        total = ((total ^ (total >> 29)) * salt) & MASK
        colours[vertex] = colour = total ^ (total >> 32)
        place = vertex
        for code in codes:
            value = ((colour + code) * STEP) & MASK
            mixed[place] = value ^ (value >> 31)
            place += size


def _neighbours(
    graph: LabelledGraph, rank: dict[str, int]
) -> tuple[list[int], Neighbours, Neighbours]:
    """Return a topological order and the neighbours of every vertex below and above."""
    size = len(graph.labels)
    below: Neighbours = [[] for _ in range(size)]
    above: Neighbours = [[] for _ in range(size)]
    forward = True
    for source, target, label in graph.edges:
        if not (0 <= source < size and 0 <= target < size):
            raise TopologyError(
                f"Edge {(source, target)} names a vertex that is not there: "
                f"vertices are 0 to {size - 1}."
            )
        shift = rank[label] * size
        below[target].append(source + shift)
        above[source].append(target + shift)
        if source >= target:
            forward = False
    order = list(range(size)) if forward else _topological(below, above)
    return order, below, above


def _topological(below: Neighbours, above: Neighbours) -> list[int]:
    size = len(below)
    waiting = [len(sources) for sources in below]
    order = [vertex for vertex, count in enumerate(waiting) if count == 0]
    for vertex in order:
        for place in above[vertex]:
            target = place % size
            waiting[target] -= 1
            if waiting[target] == 0:
                order.append(target)
    if len(order) < len(waiting):
        stuck = [vertex for vertex, count in enumerate(waiting) if count]
        raise TopologyError(
            f"The graph has a cycle among the vertices {stuck[:10]}.",
            fix="Remove one of its edges.",
        )
    return order


@lru_cache(maxsize=65_536)
def text_hash(text: str) -> int:
    """Return 64 bits of the SHA-256 of a label."""
    digest = hashlib.sha256(encoded(text)).digest()
    return int.from_bytes(digest[:8], "big")
