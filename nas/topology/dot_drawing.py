"""An architecture in the DOT language, for Graphviz and whatever else reads it."""

from __future__ import annotations

from nas.topology.edits.base import edge_details
from nas.topology.graph import Architecture
from nas.topology.svg_drawing import FAMILY_COLOURS, family, short_label


def dot_text(architecture: Architecture) -> str:
    """Return the graph from left to right; a nested cell is one node.

    Names are quoted strings, never markup: Graphviz reads HTML only between angle brackets.
    """
    lines = [
        "digraph architecture {",
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled"];',
    ]
    for index, node in enumerate(architecture.nodes):
        is_join = bool(index) and node.operation == "identity" and node.cell is None
        label = node.merge if is_join else short_label(node) if index else "input"
        name = f"\n{node.name}" if node.name not in ("", label) else ""
        colour = FAMILY_COLOURS[family(node)] if index and not is_join else "#FFFFFF"
        lines.append(f"  {index} [label={_quoted(label + name)}, fillcolor={_quoted(colour)}];")
    for edge in architecture.edges:
        details = ", ".join(edge_details(edge))
        label = f" [label={_quoted(details)}]" if details else ""
        lines.append(f"  {edge.source} -> {edge.target}{label};")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    printable = "".join(each if each.isprintable() or each == "\n" else " " for each in text)
    escaped = printable.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
