"""A drawing of a graph as text: one line per node, one column per tensor that is still to be read.

    ●       0 input
    ├─●     1 conv3x3 16
    │ ●     2 conv3x3 16
    ●─╯     3 sum

A node stands in the column of a tensor it is the last to read, or in a new one. `├` and `┤` read a
tensor that lives on, `╰` and `╯` one for the last time; a line that crosses `│` does not touch it.
So the widest line shows how many tensors a network holds at once. Only printable characters of the
names get into the drawing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from nas.topology.edits.base import edge_details, edge_text
from nas.topology.graph import Architecture, Topology
from nas.topology.layout import graph_sources
from nas.topology.liveness import last_reads

_ASCII = str.maketrans("●│─├┤╰╯┬…→×", "o|-||`'-~>x")
_MORE = "…"


@final
@dataclass(frozen=True)
class DrawnNode:
    """One line of a drawing.

    Args:
        node: Number of the node.
        picture: Its part of the graph, without the label.
        label: What it says beside it.
    """

    node: int
    picture: str
    label: str


def draw_text(
    graph: Topology | Architecture, *, width: int = 100, ascii_only: bool = False
) -> list[str]:
    """Return the lines of a drawing.

    Args:
        graph: A wiring or a network; a nested cell is one node.
        width: Longest line; columns and labels beyond it are cut, marked by `…`.
        ascii_only: Use no character beyond ASCII.
    """
    lines = list(drawn_nodes(graph, columns=max(4, width // 3)))
    reach = max(len(line.picture) for line in lines)
    drawn = []
    for line in lines:
        text = f"{line.picture:<{reach}}  {line.label}".rstrip()
        drawn.append(text if len(text) <= width else text[: width - 1] + _MORE)
    if ascii_only:
        drawn = [in_ascii(line) for line in drawn]
    return drawn


def in_ascii(line: str) -> str:
    """Return a line of a drawing in ASCII characters."""
    return line.translate(_ASCII).encode("ascii", "replace").decode()


def drawn_nodes(graph: Topology | Architecture, *, columns: int = 40) -> Iterator[DrawnNode]:
    """Yield the picture and the label of every node, in order.

    Args:
        graph: A wiring or a network.
        columns: Characters of a picture, at most; what does not fit is cut, marked by `…`.
    """
    sources = graph_sources(graph)
    gone = last_reads(sources)
    label = _topology_label if isinstance(graph, Topology) else _node_label
    lanes: list[int | None] = []  # the node whose tensor a column holds
    for node, read in enumerate(sources):
        places = sorted(lanes.index(source) for source in read)
        dying = {lanes.index(source) for source in gone[node] if source != node}
        own = min(dying) if dying else _free(lanes)
        picture = _row(lanes, own, set(places), dying)
        for place in dying:
            lanes[place] = None
        if own == len(lanes):
            lanes.append(None)
        lanes[own] = None if node in gone[node] else node
        while lanes and lanes[-1] is None:
            lanes.pop()
        if len(picture) > columns:
            picture = picture[: columns - 1] + _MORE
        yield DrawnNode(node, picture, label(graph, node))  # type: ignore[arg-type]


def _free(lanes: list[int | None]) -> int:
    return lanes.index(None) if None in lanes else len(lanes)


def _row(lanes: list[int | None], own: int, read: set[int], dying: set[int]) -> str:
    first, last = min({own, *read}), max({own, *read})
    cells = []
    for place in range(max(len(lanes), own + 1)):
        inside = first <= place < last
        live = place < len(lanes) and lanes[place] is not None
        cells.append(_symbol(place, own, live, place in read, place in dying, first < place < last))
        cells.append("─" if inside else " ")
    return "".join(cells).rstrip()


def _symbol(place: int, own: int, live: bool, read: bool, dying: bool, inside: bool) -> str:
    if place == own:
        return "●"
    if read:
        return ("╰" if place < own else "╯") if dying else ("├" if place < own else "┤")
    if live:
        return "│"
    return "─" if inside else " "


def _topology_label(topology: Topology, node: int) -> str:
    rule = topology.rule(node)
    if node == 0:
        what = "input"
    elif node in topology.joins:
        what = rule.merge or topology.merge
    else:
        what = rule.operation or "operation"
    words = [str(node), what]
    words += [f"×{rule.width[0]}/{rule.width[1]}"] if rule.width != (1, 1) else []
    words += [f"/{rule.stride}"] if rule.stride > 1 else []
    words += [f"tied to {rule.tie}"] if rule.tie else []
    words += ["exit"] if rule.exit else []
    return " ".join(words)


def _node_label(architecture: Architecture, index: int) -> str:
    node, edges = architecture.nodes[index], architecture.inputs(index)
    words = [str(index)]
    words += [_printable(node.name)] if node.name else []
    if index == 0:
        return " ".join([*words, *(["input"] if node.name != "input" else [])])
    if len(edges) > 1:
        words.append(node.merge if node.scale == "auto" else f"{node.merge} ({node.scale})")
    if node.cell is not None:
        motif = f" of motif {_printable(node.motif)}" if node.motif else ""
        words.append(f"cell of {len(node.cell.nodes)} nodes{motif}")
    elif node.operation != "identity" or len(edges) < 2:
        words.append(node.operation)
    words += [str(node.width)] if node.width else []
    words += [f"/{node.stride}"] if node.stride > 1 else []
    words += [f"tied to {_printable(node.tie)}"] if node.tie else []
    words += ["own norms"] if node.own_norms else []
    words += ["exit"] if node.exit else []
    special = [edge_text(edge) for edge in edges if edge_details(edge)]
    return " ".join(words) + (f"  [{', '.join(map(_printable, special))}]" if special else "")


def _printable(text: str) -> str:
    """Keep control characters of a stranger's file out of the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
