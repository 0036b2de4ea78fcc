"""An architecture as an SVG drawing: input at the left, output at the right, skips as arcs.

Nodes stand at the length of their longest path from the input, so that a drawing is as long as the
network is deep; nodes of one rank stand above each other. A connection that skips ranks is an arc
whose height grows with its length. Each mark has a title, so that a pointer resting on it tells
the full name. Names are escaped: a drawing is safe to embed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from html import escape
from typing import final

from nas.topology.graph import Architecture, Edge, Node

# Okabe and Ito's palette: told apart with every common kind of colour vision.
FAMILY_COLOURS = {
    "conv": "#56B4E9",
    "separable": "#009E73",
    "mbconv": "#E69F00",
    "pool": "#CC79A7",
    "cell": "#F0E442",
    "other": "#BBBBBB",
}
RANK_STEP = 70
LANE_STEP = 40
NODE_WIDTH = 52
NODE_HEIGHT = 24
MARGIN = 30

Point = tuple[float, float]


@final
@dataclass(frozen=True)
class Placement:
    """Where the nodes stand.

    Args:
        points: Centre of each node, in user units.
        width: Width of the drawing.
        top: Highest point above the middle line that arcs and lanes reach.
        bottom: Lowest point below it.
    """

    points: tuple[Point, ...]
    width: float
    top: float
    bottom: float


def place(architecture: Architecture) -> Placement:
    """Give each node a rank and a lane."""
    ranks = [0] * len(architecture.nodes)
    for edge in architecture.edges:
        ranks[edge.target] = max(ranks[edge.target], ranks[edge.source] + 1)
    ranks[-1] = max(ranks)
    lanes: dict[int, list[int]] = defaultdict(list)
    for index, rank in enumerate(ranks):
        lanes[rank].append(index)
    points: list[Point] = [(0.0, 0.0)] * len(ranks)
    for rank, members in lanes.items():
        for lane, index in enumerate(members):
            offset = (lane - (len(members) - 1) / 2) * LANE_STEP
            points[index] = (MARGIN + NODE_WIDTH / 2 + rank * RANK_STEP, offset)
    arcs = [_arc_height(points, edge) for edge in architecture.edges]
    top = max([abs(min(y for _, y in points)) + NODE_HEIGHT, *arcs])
    bottom = max(y for _, y in points) + NODE_HEIGHT
    return Placement(tuple(points), points[-1][0] + NODE_WIDTH / 2 + MARGIN, top + 12, bottom + 14)


def _arc_height(points: list[Point] | tuple[Point, ...], edge: Edge) -> float:
    span = (points[edge.target][0] - points[edge.source][0]) / RANK_STEP
    return 0.0 if span <= 1 else 16 + 11 * span**0.75


def draw_architecture(architecture: Architecture, title: str = "") -> str:
    """Return the drawing as an `<svg>` element, the first nested cell below it.

    Args:
        architecture: What to draw.
        title: Accessible name of the drawing.
    """
    placement = place(architecture)
    height = placement.top + placement.bottom
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="wiring" role="img" '
        f'viewBox="0 {-placement.top:.0f} {placement.width:.0f} {height:.0f}" '
        f'width="{placement.width:.0f}" height="{height:.0f}">',
        f"<title>{escape(title or 'architecture')}</title>",
    ]
    parts += [_edge_mark(architecture, placement, edge) for edge in architecture.edges]
    parts += [
        _node_mark(architecture, index, placement.points[index])
        for index in range(len(architecture.nodes))
    ]
    parts.append("</svg>")
    cell = next((node.cell for node in architecture.nodes if node.cell is not None), None)
    if cell is not None:
        parts.append(draw_architecture(cell, f"{title} cell".strip()))
    return "".join(parts)


def _edge_mark(architecture: Architecture, placement: Placement, edge: Edge) -> str:
    (x1, y1), (x2, y2) = placement.points[edge.source], placement.points[edge.target]
    height = _arc_height(placement.points, edge)
    if height:
        start, end = x1 + 8, x2 - 8
        low = min(y1, y2) - height * 1.25
        path = f"M{start:.1f} {y1:.1f} C{start + 14:.1f} {low:.1f} {end - 14:.1f} {low:.1f} "
        path += f"{end:.1f} {y2:.1f}"
    else:
        path = f"M{x1:.1f} {y1:.1f} L{x2:.1f} {y2:.1f}"  # the nodes are painted over its ends
    names = [architecture.nodes[index].name or str(index) for index in (edge.source, edge.target)]
    transform = "" if edge.transform == "auto" else f" ({edge.transform})"
    label = escape(f"{names[0]} to {names[1]}{transform}")
    kind = "skip" if height else "step"
    return f'<path class="edge {kind}" d="{path}"><title>{label}</title></path>'


def _node_mark(architecture: Architecture, index: int, point: Point) -> str:
    node, (x, y) = architecture.nodes[index], point
    label = escape(_describe(architecture, index))
    if index and node.operation == "identity" and node.cell is None:
        return (
            f'<g class="join"><title>{label}</title><circle cx="{x:.1f}" cy="{y:.1f}" r="11"/>'
            f'<text x="{x:.1f}" y="{y + 4:.1f}">{escape(_merge_sign(node))}</text></g>'
        )
    colour = FAMILY_COLOURS[family(node)] if index else "#FFFFFF"
    left, top = x - NODE_WIDTH / 2, y - NODE_HEIGHT / 2
    return (
        f'<g class="node"><title>{label}</title><rect x="{left:.1f}" y="{top:.1f}" '
        f'width="{NODE_WIDTH}" height="{NODE_HEIGHT}" rx="6" fill="{colour}"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}">{escape(short_label(node) if index else "input")}'
        "</text></g>"
    )


def family(node: Node) -> str:
    """Return the family a node's operation is coloured by."""
    if node.cell is not None:
        return "cell"
    for name in ("separable", "mbconv", "pool", "conv"):
        if name in node.operation:
            return name
    return "other"


def short_label(node: Node) -> str:
    """Return what fits into a node: `3x3`, `sep 3x3`, `mb 5x5`, `avg 3x3`."""
    if node.cell is not None:
        return "cell"
    kernel = re.search(r"\dx\d", node.operation)
    prefix = {"separable": "sep ", "mbconv": "mb ", "conv": ""}.get(family(node), "")
    if family(node) == "pool":
        prefix = node.operation[:3] + " "
    return f"{prefix}{kernel.group()}" if kernel else node.operation[:7]


def _merge_sign(node: Node) -> str:
    return {"sum": "+", "mean": "x̄", "concat": "‖", "stack": "‖", "weighted": "Σ"}.get(
        node.merge, "m"
    )


def _describe(architecture: Architecture, index: int) -> str:
    node = architecture.nodes[index]
    parts = [node.name or f"node {index}"]
    if index:
        parts.append("cell" if node.cell is not None else node.operation)
        inputs = len(architecture.inputs(index))
        parts.append(f"{node.merge} of {inputs}" if inputs > 1 else "one input")
    if node.width:
        parts.append(f"{node.width} channels")
    if node.stride > 1:
        parts.append(f"stride {node.stride}")
    return ", ".join(parts)
