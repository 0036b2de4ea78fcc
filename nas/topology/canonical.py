"""Exact canonical forms of labelled directed acyclic graphs.

Two graphs have the same canonical form exactly when a renaming of vertices maps one to the other,
labels included. A colouring by 64-bit hashes of what lies below and above each vertex tells nearly
all vertices apart in microseconds; it only chooses an order and never decides equality, because
the form spells out every label and edge. Where vertices stay alike, `nas.topology.symmetry`
searches for the order exactly (individualisation and refinement, McKay and Piperno 2014,
arXiv:1301.1493). An iterated hash alone would not do: it gives different wirings one value.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import final

from nas.errors import TopologyError
from nas.topology.symmetry import symmetric_order

LabelledEdge = tuple[int, int, str]

_MASK = (1 << 64) - 1
_DOWN, _UP, _STEP = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MAX_PASSES = 64


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
    into: list[list[str]] = [[] for _ in order]
    for source, target, label in graph.edges:
        into[target].append(f"{position[source]}>{len(label)}:{label}")
    lines = []
    for vertex in order:
        label = graph.labels[vertex]
        lines.append(f"{len(label)}:{label}<{','.join(sorted(into[vertex]))}")
    return "\n".join(lines).encode("utf-8", "surrogatepass")


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
    order, below, above = _neighbours(graph)
    colours = [_text_hash(label) for label in graph.labels]
    distinct, size = len(set(colours)), len(colours)
    for turn in range(_MAX_PASSES):
        if turn % 2 == 0:
            _pass(colours, order, below, _DOWN)
        else:
            _pass(colours, order[::-1], above, _UP)
        now = len(set(colours))
        # A pass leaves colours stable in its own direction, the one before did so in the other.
        if now == size or (now == distinct and turn > 0):
            break
        distinct = now
    return colours


Neighbours = list[list[tuple[int, int]]]


def _pass(colours: list[int], order: list[int], neighbours: Neighbours, salt: int) -> None:
    """Mix into every colour the new colours of its neighbours on one side, in any order of them."""
    for vertex in order:
        total = colours[vertex] * salt
        for other, code in neighbours[vertex]:
            mixed = ((colours[other] + code) * _STEP) & _MASK
            total += (mixed ^ (mixed >> 31)) * _STEP
        total &= _MASK
        total = ((total ^ (total >> 29)) * salt) & _MASK
        colours[vertex] = total ^ (total >> 32)


def _neighbours(graph: LabelledGraph) -> tuple[list[int], Neighbours, Neighbours]:
    """Return a topological order and, per vertex, sources and targets with hashed edge labels."""
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
        code = _text_hash(label)
        below[target].append((source, code))
        above[source].append((target, code))
        forward = forward and source < target
    order = list(range(size)) if forward else _topological(below, above)
    return order, below, above


def _topological(below: Neighbours, above: Neighbours) -> list[int]:
    waiting = [len(sources) for sources in below]
    order = [vertex for vertex, count in enumerate(waiting) if count == 0]
    for vertex in order:
        for target, _ in above[vertex]:
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
def _text_hash(text: str) -> int:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")
