"""A canonical order for vertices that colours alone cannot tell apart.

Three ideas keep it fast on real wirings, whose symmetry is that of parallel twins. Edges between
two colour classes that join every pair carry no information, so they are left out. What remains
falls into components, which are ordered one by one and then sorted. Only inside a component one
vertex of a class is singled out at a time; candidates whose first leaf gives the same form are
images of one another under an automorphism, and one of them is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

Colours = dict[int, int]
"""Colour of every vertex under consideration; smaller colours come first in the order."""

Form = tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
"""Per vertex in order: its colour, and positions and labels of its sources in the same order."""


def symmetric_order(colours: Sequence[int], edges: Iterable[tuple[int, int, str]]) -> list[int]:
    """Return the canonical order of the vertices of a labelled directed acyclic graph.

    Args:
        colours: Per vertex, a number that is equal only for vertices with equal labels, and the
            same in every isomorphic graph.
        edges: `(source, target, label)`.
    """
    return _Search(len(colours), edges).solve(dict(enumerate(colours)))[0]


@final
class _Search:
    """The search for one graph; parallel edges become one edge with a label of its own."""

    def __init__(self, size: int, edges: Iterable[tuple[int, int, str]]) -> None:
        labels: dict[tuple[int, int], list[str]] = {}
        for source, target, label in edges:
            labels.setdefault((source, target), []).append(label)
        bundles = {pair: tuple(sorted(bundle)) for pair, bundle in labels.items()}
        codes = {bundle: code for code, bundle in enumerate(sorted(set(bundles.values())))}
        self.sources: list[list[tuple[int, int]]] = [[] for _ in range(size)]
        self.targets: list[list[tuple[int, int]]] = [[] for _ in range(size)]
        for (source, target), bundle in bundles.items():
            self.sources[target].append((source, codes[bundle]))
            self.targets[source].append((target, codes[bundle]))

    def solve(self, colours: Colours, *, greedy: bool = False) -> tuple[list[int], Form]:
        """Order the vertices of `colours`; `greedy` follows the first branch only.

        The order of a greedy search is not canonical, but equal forms still mean that the orders
        map one coloured graph to the other.
        """
        refined = self.refine(colours)
        cells = _cells(refined)
        order = [cell[0] for cell in cells if len(cell) == 1]
        parts = []
        for component in self.components(refined, cells):
            inner = {vertex: refined[vertex] for vertex in component}
            if len(inner) < len(refined):
                parts.append(self.solve(inner, greedy=greedy))
            else:
                parts.append(self.branch(inner, greedy=greedy))
        for part, _ in sorted(parts, key=lambda part: part[1]):
            order.extend(part)
        return order, self.form(order, colours)

    def branch(self, colours: Colours, *, greedy: bool) -> tuple[list[int], Form]:
        """Single out one vertex of the smallest class, the best one of them."""
        cells = [cell for cell in _cells(colours) if len(cell) > 1]
        target = min(cells, key=lambda cell: (len(cell), colours[cell[0]]))
        if greedy:
            return self.individualised(target[0], colours, greedy=True)
        best: tuple[list[int], Form] | None = None
        seen: set[Form] = set()
        for vertex in target:
            first_leaf = self.individualised(vertex, colours, greedy=True)[1]
            if first_leaf in seen:
                continue
            seen.add(first_leaf)
            found = self.individualised(vertex, colours, greedy=False)
            if best is None or found[1] < best[1]:
                best = found
        assert best is not None
        return best

    def individualised(
        self, vertex: int, colours: Colours, *, greedy: bool
    ) -> tuple[list[int], Form]:
        child = {other: 2 * colour + 1 for other, colour in colours.items()}
        child[vertex] -= 1
        found, _ = self.solve(child, greedy=greedy)
        # In front, so that equal forms map the singled-out vertices to each other.
        order = [vertex, *(other for other in found if other != vertex)]
        return order, self.form(order, colours)

    def refine(self, colours: Colours) -> Colours:
        """Split classes until all members of a class have the same neighbours by class."""
        count = len(set(colours.values()))
        while count < len(colours):
            signatures = {
                vertex: (
                    colour,
                    tuple(sorted((colours[u], c) for u, c in self.sources[vertex] if u in colours)),
                    tuple(sorted((colours[w], c) for w, c in self.targets[vertex] if w in colours)),
                )
                for vertex, colour in colours.items()
            }
            ranks = {value: rank for rank, value in enumerate(sorted(set(signatures.values())))}
            if len(ranks) == count:
                break
            count = len(ranks)
            colours = {vertex: ranks[signatures[vertex]] for vertex in colours}
        return colours

    def components(self, colours: Colours, cells: list[list[int]]) -> list[list[int]]:
        """Split the ambiguous vertices along edges that do not join two whole classes."""
        sizes = {colours[cell[0]]: len(cell) for cell in cells}
        parent = {vertex: vertex for cell in cells if len(cell) > 1 for vertex in cell}
        for vertex in parent:
            into: dict[tuple[int, int], list[int]] = {}
            for target, code in self.targets[vertex]:
                if target in parent:
                    into.setdefault((colours[target], code), []).append(target)
            for (colour, _), targets in into.items():
                if len(targets) < sizes[colour]:
                    for target in targets:
                        parent[_root(parent, target)] = _root(parent, vertex)
        groups: dict[int, list[int]] = {}
        for vertex in parent:
            groups.setdefault(_root(parent, vertex), []).append(vertex)
        return list(groups.values())

    def form(self, order: list[int], colours: Colours) -> Form:
        position = {vertex: rank for rank, vertex in enumerate(order)}
        return tuple(
            (
                colours[vertex],
                tuple(sorted((position[u], c) for u, c in self.sources[vertex] if u in position)),
            )
            for vertex in order
        )


def _cells(colours: Colours) -> list[list[int]]:
    """Return the colour classes, smallest colour first."""
    cells: dict[int, list[int]] = {}
    for vertex, colour in colours.items():
        cells.setdefault(colour, []).append(vertex)
    return [cells[colour] for colour in sorted(cells)]


def _root(parent: dict[int, int], vertex: int) -> int:
    while parent[vertex] != vertex:
        parent[vertex] = parent[parent[vertex]]
        vertex = parent[vertex]
    return vertex
