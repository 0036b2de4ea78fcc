"""Pictures of a wiring in text: one line for lists, arcs for a page.

The line tells the whole wiring: `●` is an operation, `○` a join, `◇` a node the pattern fixes, a
dash the edge from the node before, small numbers how many nodes back the further inputs are, and
`↗` a head of the node's own.
So a residual wiring is `in─●─○₂─●─○₂` and a dense one `in─●─●₂─●₂₃`.
"""

from __future__ import annotations

from collections import defaultdict

from nas.topology.graph import EdgePair, Topology

OPERATION, JOIN, FIXED = "●", "○", "◇"
EXIT = "↗"
_DIGITS = "₀₁₂₃₄₅₆₇₈₉"
_BETWEEN = "·"
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_GLYPHS = {
    0: " ",
    _UP: "╵",
    _DOWN: "╷",
    _LEFT: "╴",
    _RIGHT: "╶",
    _UP | _DOWN: "│",
    _LEFT | _RIGHT: "─",
    _DOWN | _RIGHT: "╭",
    _DOWN | _LEFT: "╮",
    _UP | _RIGHT: "╰",
    _UP | _LEFT: "╯",
    _DOWN | _LEFT | _RIGHT: "┬",
    _UP | _LEFT | _RIGHT: "┴",
    _UP | _DOWN | _RIGHT: "├",
    _UP | _DOWN | _LEFT: "┤",
    _UP | _DOWN | _LEFT | _RIGHT: "┼",
}


def one_line(topology: Topology) -> str:
    """Return the wiring in one line, the input first.

    Examples:
        >>> from nas.topology.patterns import PATTERNS
        >>> one_line(PATTERNS.get("residual").wire(2))
        'in─●─○₂─●─○₂'
    """
    text = "in"
    for node in range(1, topology.num_nodes):
        distances = sorted(node - source for source in topology.sources(node))
        direct = distances[0] == 1
        text += "─" if direct else " "
        text += _mark(topology, node) + _small(distances[1:] if direct else distances)
    return text


def read_line(text: str) -> frozenset[EdgePair]:
    """Return the edges that a line of `one_line` tells."""
    edges: set[EdgePair] = set()
    node, distances, direct = 0, "", False
    for letter in f"{text.removeprefix('in')} ":
        if letter in "─ ":
            edges |= {(node - distance, node) for distance in _distances(distances)}
            if direct and node:
                edges.add((node - 1, node))
            direct, distances = letter == "─", ""
        elif letter in (OPERATION, JOIN, FIXED):
            node += 1
        elif letter != EXIT:
            distances += letter
    return frozenset(edges)


def _mark(topology: Topology, node: int) -> str:
    rule = topology.rule(node)
    kind = OPERATION if rule.operation is None else FIXED
    return (JOIN if node in topology.joins else kind) + (EXIT if rule.exit else "")


def _small(distances: list[int]) -> str:
    written = ["".join(_DIGITS[int(digit)] for digit in str(each)) for each in distances]
    if all(len(each) == 1 for each in written):
        return "".join(written)
    return "".join(each + _BETWEEN for each in written)


def _distances(text: str) -> list[int]:
    plain = "".join(str(_DIGITS.index(letter)) if letter in _DIGITS else " " for letter in text)
    return [int(each) for each in (plain.split() if _BETWEEN in text else plain)]


def arcs(topology: Topology) -> str:
    """Return the wiring as lines of text: nodes in a row, longer edges as arcs above it.

    Every arc of several edges starts at one node and ends, with corners, at those that read it.
    """
    readers: dict[int, list[int]] = defaultdict(list)
    for source, target in sorted(topology.edges):
        if target - source > 1:
            readers[source].append(target)
    grid: dict[tuple[int, int], int] = defaultdict(int)
    order = sorted(readers, key=lambda source: (max(readers[source]) - source, source))
    taken: list[list[tuple[int, int]]] = []
    for source in order:
        span = (source, max(readers[source]))
        row = _free_row(taken, span)
        _draw_arc(grid, row + 1, source, readers[source])
    height = len(taken)
    lines = [
        "".join(_GLYPHS[grid[row, column]] for column in range(_column(topology.num_nodes)))
        for row in range(height, 0, -1)
    ]
    base = "in"
    for node in range(1, topology.num_nodes):
        base += ("───" if (node - 1, node) in topology.edges else "   ") + _mark(topology, node)
    return "\n".join([*(line.rstrip() for line in lines), base])


def _column(node: int) -> int:
    """The column of a node's mark: the input is two letters wide."""
    return 4 * node + 1


def _free_row(taken: list[list[tuple[int, int]]], span: tuple[int, int]) -> int:
    """Return the lowest row above all shorter arcs that `span` overlaps."""
    lowest = 0
    for row, spans in enumerate(taken):
        if any(start < span[1] and span[0] < end for start, end in spans):
            lowest = row + 1
    if lowest == len(taken):
        taken.append([])
    taken[lowest].append(span)
    return lowest


def _draw_arc(grid: dict[tuple[int, int], int], row: int, source: int, targets: list[int]) -> None:
    left, right = _column(source), _column(max(targets))
    for column in range(left, right + 1):
        grid[row, column] |= (_LEFT if column > left else 0) | (_RIGHT if column < right else 0)
    for node in (source, *targets):
        grid[row, _column(node)] |= _DOWN
        for lower in range(1, row):
            grid[lower, _column(node)] |= _UP | _DOWN
