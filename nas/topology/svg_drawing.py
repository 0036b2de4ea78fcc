"""An architecture as an SVG drawing: input at the left, output at the right, skips as brackets.

One whole `<svg>` without a style sheet: every colour is an attribute, so a drawing looks the same
as a file, in a notebook and in a page, light or dark. Different cells are drawn once each, below.
Each mark has a title, so that a pointer resting on it tells the full name. Names are escaped: a
drawing is safe to embed.
"""

from __future__ import annotations

import re
from collections import Counter
from html import escape
from typing import Final

from nas.topology.graph import Architecture, Edge, Node
from nas.topology.svg_places import (
    MARGIN,
    NODE_HEIGHT,
    NODE_WIDTH,
    Placement,
    Point,
    edge_path,
    place,
)

# Okabe and Ito's palette: told apart with every common kind of colour vision.
FAMILY_COLOURS: Final = {
    "conv": "#56B4E9",
    "separable": "#009E73",
    "mbconv": "#E69F00",
    "pool": "#CC79A7",
    "cell": "#F0E442",
    "other": "#BBBBBB",
}
MOST_CELLS: Final = 12
"""Different cells that are drawn; a drawing says how many more there are."""

_INK, _PAPER, _LINE, _SKIP = "#1b1b1b", "#ffffff", "#666666", "#0072B2"
_CAPTION_HEIGHT: Final = 22
_FONT: Final = 'font-family="system-ui, sans-serif" font-size="11" fill="#1b1b1b"'
_SIGNS: Final = {"sum": "+", "mean": "x̄", "concat": "‖", "stack": "‖", "weighted": "Σ"}


def draw_architecture(architecture: Architecture, title: str = "") -> str:
    """Return the drawing as one `<svg>` element; different cells follow below the network.

    Args:
        architecture: What to draw.
        title: Accessible name of the drawing.
    """
    cells = different_cells(architecture)
    placements = [place(each) for each in (architecture, *cells[:MOST_CELLS])]
    number = {cell: place + 1 for place, cell in enumerate(cells)}
    panels, height = [], _height(placements[0])
    for cell, placement in zip(cells, placements[1:], strict=False):
        height += _CAPTION_HEIGHT
        panels.append(_panel(cell, placement, number, height))
        height += _height(placement)
    left_out = len(cells) - MOST_CELLS
    if left_out > 0:
        more = "1 further cell" if left_out == 1 else f"{left_out} further cells"
        panels.append(_caption(f"{more} not drawn", height + _CAPTION_HEIGHT - 6))
        height += _CAPTION_HEIGHT
    width = max(placement.width for placement in placements)
    top = placements[0].top
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="wiring" role="img" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">'
        f"<title>{escape(title or 'architecture')}</title>"
        f'<rect class="paper" width="100%" height="100%" rx="6" fill="{_PAPER}"/>'
        f"{_marks(architecture, placements[0], number, top)}{''.join(panels)}</svg>"
    )


def different_cells(architecture: Architecture) -> list[Architecture]:
    """Return every nested cell once, outer ones before what is nested in them."""
    found: dict[Architecture, None] = {}
    open_cells = [architecture]
    while open_cells:
        inside = [node.cell for each in open_cells for node in each.nodes if node.cell is not None]
        open_cells = [cell for cell in dict.fromkeys(inside) if cell not in found]
        found.update(dict.fromkeys(open_cells))
    return list(found)


def _height(placement: Placement) -> float:
    return placement.top + placement.bottom


def _panel(
    cell: Architecture, placement: Placement, number: dict[Architecture, int], offset: float
) -> str:
    wiring = f", {'-'.join(cell.wiring)}" if cell.wiring else ""
    return (
        f"{_caption(f'cell {number[cell]}{wiring}', offset - 4)}"
        f'<svg class="cell" y="{offset:.0f}" width="{placement.width:.0f}" '
        f'height="{_height(placement):.0f}">{_marks(cell, placement, number, placement.top)}</svg>'
    )


def _caption(text: str, height: float) -> str:
    return f'<text class="caption" x="{MARGIN}" y="{height:.0f}" {_FONT}>{escape(text)}</text>'


def _marks(
    architecture: Architecture,
    placement: Placement,
    number: dict[Architecture, int],
    top: float,
) -> str:
    """Return the marks of one level, its middle line `top` below the upper edge."""
    moved = Placement(
        tuple((x, y + top) for x, y in placement.points),
        tuple(None if track is None else track + top for track in placement.routes),
        placement.width,
        placement.top,
        placement.bottom,
    )
    before: Counter[tuple[int, int]] = Counter()
    parts = []
    for index, edge in enumerate(architecture.edges):
        twin = before[edge.source, edge.target]
        before[edge.source, edge.target] += 1
        parts.append(_edge_mark(architecture, moved, index, edge, twin))
    parts += [
        _node_mark(architecture, index, point, number) for index, point in enumerate(moved.points)
    ]
    return "".join(parts)


def _edge_mark(
    architecture: Architecture, placement: Placement, index: int, edge: Edge, twin: int
) -> str:
    names = [architecture.nodes[end].name or str(end) for end in (edge.source, edge.target)]
    transform = "" if edge.transform == "auto" else f" ({edge.transform})"
    label = escape(f"{names[0]} to {names[1]}{transform}")
    is_skip = placement.routes[index] is not None
    kind, colour = ("skip", _SKIP) if is_skip else ("step", _LINE)
    return (
        f'<path class="edge {kind}" d="{edge_path(placement, index, edge, twin)}" fill="none" '
        f'stroke="{colour}" stroke-width="1.5"><title>{label}</title></path>'
    )


def _node_mark(
    architecture: Architecture, index: int, point: Point, number: dict[Architecture, int]
) -> str:
    node, (x, y) = architecture.nodes[index], point
    label = escape(_describe(architecture, index))
    if index and node.operation == "identity" and node.cell is None:
        return (
            f'<g class="join"><title>{label}</title><circle cx="{x:.1f}" cy="{y:.1f}" r="11" '
            f'fill="{_PAPER}" stroke="{_INK}"/>{_text(_SIGNS.get(node.merge, "m"), x, y)}</g>'
        )
    colour = FAMILY_COLOURS[family(node)] if index else _PAPER
    text = short_label(node) if index else "input"
    if node.cell is not None:
        text = f"cell {number[node.cell]}"
    return (
        f'<g class="node"><title>{label}</title><rect x="{x - NODE_WIDTH / 2:.1f}" '
        f'y="{y - NODE_HEIGHT / 2:.1f}" width="{NODE_WIDTH}" height="{NODE_HEIGHT}" rx="6" '
        f'fill="{colour}" stroke="{_INK}"{_border(node)}/>{_text(text, x, y)}</g>'
    )


def _border(node: Node) -> str:
    """Return the thicker border of a node that feeds a head of its own."""
    return ' stroke-width="3"' if node.exit else ""


def _text(text: str, x: float, y: float) -> str:
    return f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" {_FONT}>{escape(text)}</text>'


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
    return f"{prefix}{kernel.group()}" if kernel else node.operation[:8]


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
    if node.exit:
        parts.append("exit")
    return ", ".join(parts)
