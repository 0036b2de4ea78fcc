"""Where a drawing puts nodes and edges: ranks from left to right, long edges on tracks above.

A node's rank is the length of the longest path that leads to it. An edge to the next rank is a
curve in the gap between both. Any other rises in the gap behind its source, runs on a track of its
own above all nodes that it passes, and comes down in the gap before its target: so no edge passes
through a foreign node, and no two lie on each other.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from nas.topology.graph import Architecture, Edge

NODE_WIDTH: Final = 56
NODE_HEIGHT: Final = 26
GAP: Final = 34
LANE_STEP: Final = 42
MARGIN: Final = 18

_RANK_STEP: Final = NODE_WIDTH + GAP
_FIRST_TRACK, _TRACK_STEP, _FLATTENED = 13.0, 9.0, 0.85
_MOST_TRACKS: Final = 48
"""Tracks that are shared by edges one behind the other; beyond them each edge has its own."""

Point = tuple[float, float]
Interval = tuple[int, int]


@final
@dataclass(frozen=True)
class Placement:
    """Where the nodes stand and the edges run.

    Args:
        points: Centre of each node, in user units; the middle line has height 0.
        routes: Per edge of the architecture the height of its track, None where it needs none.
        width: Width of the drawing.
        top: How far it reaches above the middle line.
        bottom: How far it reaches below it.
    """

    points: tuple[Point, ...]
    routes: tuple[float | None, ...]
    width: float
    top: float
    bottom: float


def place(architecture: Architecture) -> Placement:
    """Give each node a rank and a lane, and each long edge a track."""
    ranks = _ranks(architecture)
    heights = _heights(architecture, ranks)
    points = [
        (MARGIN + NODE_WIDTH / 2 + rank * _RANK_STEP, height)
        for rank, height in zip(ranks, heights, strict=True)
    ]
    routes = _routes(architecture.edges, ranks, heights)
    highest = min([min(heights) - NODE_HEIGHT / 2, *(each for each in routes if each is not None)])
    return Placement(
        tuple(points),
        tuple(routes),
        points[-1][0] + NODE_WIDTH / 2 + MARGIN,
        MARGIN - highest,
        max(heights) + NODE_HEIGHT / 2 + MARGIN,
    )


def edge_path(placement: Placement, place_of_edge: int, edge: Edge, twin: int = 0) -> str:
    """Return the path data of an edge.

    Args:
        placement: Where everything stands.
        place_of_edge: The edge's position among the edges of its architecture.
        edge: The edge.
        twin: How many edges between the same two nodes came before it; bends it.
    """
    (x1, y1), (x2, y2) = placement.points[edge.source], placement.points[edge.target]
    start, end = x1 + NODE_WIDTH / 2, x2 - NODE_WIDTH / 2
    track = placement.routes[place_of_edge]
    if track is None:
        return _curves((x1, y1), (start, y1), (end, y2), (x2, y2), bend=-7.0 * twin)
    up, down = (start + GAP, track), (end - GAP, track)
    return _curves((x1, y1), (start, y1), up, down, (end, y2), (x2, y2))


def _curves(first: Point, *points: Point, bend: float = 0.0) -> str:
    """Return lines and, in turn with them, curves that begin and end level."""
    text = f"M{first[0]:.1f} {first[1]:.1f}"
    before, is_line = first, True
    for x, y in points:
        if is_line:
            text += f" L{x:.1f} {y:.1f}"
        else:
            middle = (before[0] + x) / 2
            text += f" C{middle:.1f} {before[1] + bend:.1f} {middle:.1f} {y + bend:.1f} "
            text += f"{x:.1f} {y:.1f}"
        before, is_line = (x, y), not is_line
    return text


def _ranks(architecture: Architecture) -> list[int]:
    ranks = [0] * len(architecture.nodes)
    for edge in architecture.edges:  # sorted by source, so a source's rank is final
        ranks[edge.target] = max(ranks[edge.target], ranks[edge.source] + 1)
    ranks[-1] = max(ranks)
    return ranks


def _heights(architecture: Architecture, ranks: Sequence[int]) -> list[float]:
    """Stand the nodes of a rank above each other, in the order of the mean of what they read."""
    members: dict[int, list[int]] = defaultdict(list)
    for node, rank in enumerate(ranks):
        members[rank].append(node)
    heights = [0.0] * len(ranks)
    for _, nodes in sorted(members.items()):
        wanted = {}
        for node in nodes:
            read = [heights[edge.source] for edge in architecture.inputs(node)]
            wanted[node] = sum(read) / len(read) if read else 0.0
        for lane, node in enumerate(sorted(nodes, key=lambda node: (wanted[node], node))):
            heights[node] = (lane - (len(nodes) - 1) / 2) * LANE_STEP
    return heights


def _routes(
    edges: Sequence[Edge], ranks: Sequence[int], heights: Sequence[float]
) -> list[float | None]:
    """Return the height of each edge's track; short edges get the lower ones."""
    spans = [(ranks[edge.source], ranks[edge.target]) for edge in edges]
    crown = [0.0] * (max(ranks) + 1)
    for rank, height in zip(ranks, heights, strict=True):
        crown[rank] = min(crown[rank], height - NODE_HEIGHT / 2)
    # One base for all: tracks of different bases could lie on each other.
    base = min(crown)
    long = [place for place, (low, high) in enumerate(spans) if high - low > 1]
    long.sort(key=lambda place: (spans[place][1] - spans[place][0], spans[place]))
    levels = _levels([spans[place] for place in long])
    routes: list[float | None] = [None] * len(edges)
    for place, level in zip(long, levels, strict=True):
        routes[place] = base - _FIRST_TRACK - _TRACK_STEP * level**_FLATTENED
    return routes


def _levels(spans: Sequence[Interval]) -> list[float]:
    """Return the lowest free track of each interval in turn; touching ones share none."""
    tracks: list[list[Interval]] = [[] for _ in range(_MOST_TRACKS)]
    found: list[float] = []
    alone = 0
    for low, high in spans:
        for level, taken in enumerate(tracks):
            if _is_free(taken, low, high):
                insort(taken, (low, high))
                found.append(float(level))
                break
        else:
            alone += 1
            found.append(_MOST_TRACKS + 0.25 * alone)
    return found


def _is_free(taken: Sequence[Interval], low: int, high: int) -> bool:
    """Tell whether no interval on a track overlaps another; they may meet end to end."""
    place = bisect_left(taken, (low, high))
    before_ends = place == 0 or taken[place - 1][1] <= low
    return before_ends and (place == len(taken) or taken[place][0] >= high)
