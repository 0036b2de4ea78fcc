"""List the connection patterns, or tell about one."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from nas.cli.output import print_json, print_table, print_text


def patterns(
    name: Annotated[str | None, typer.Argument(help="A pattern; all are listed without.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Print the registry: what wires how, and which paper it is from."""
    from nas.topology.patterns import PATTERNS

    if name is None:
        entries = [_entry(known) for known in PATTERNS]
        if as_json:
            print_json({"schema": "nas.patterns/1", "patterns": entries})
            return
        shown = [(entry["name"], entry["paper"], entry["summary"]) for entry in entries]
        print_table(("pattern", "paper", "wiring"), shown)
        return
    pattern = PATTERNS.get(name)
    if as_json:
        print_json({"schema": "nas.pattern/1", **_entry(name)})
        return
    paper = PATTERNS.paper(name)
    print_text(f"{name}{f' ({paper})' if paper else ''}")
    print_text(inspect.getdoc(pattern.rule) or "")
    print_text(f"sizes: {pattern.sizes}; published merge: {_entry(name)['merge']}")
    columns = ("operations", "nodes", "edges", "joins")
    print_table(columns, [[entry[column] for column in columns] for entry in _sizes(name)])


def _entry(name: str) -> dict[str, object]:
    from nas.topology.patterns import PATTERNS

    pattern = PATTERNS.get(name)
    paper = PATTERNS.paper(name)
    sizes = _sizes(name)
    return {
        "name": name,
        "paper": str(paper) if paper else None,
        "summary": pattern.summary,
        "sizes": pattern.sizes,
        "merge": pattern.wire(sizes[0]["operations"]).merge,
        "examples": sizes,
    }


def _sizes(name: str) -> list[dict[str, int]]:
    """Return node and edge counts of the smallest sizes the pattern exists for."""
    from nas.topology.patterns import PATTERNS

    pattern = PATTERNS.get(name)
    rows = []
    for size in [size for size in range(1, 32) if pattern.exists(size)][:6]:
        wired = pattern.wire(size)
        rows.append(
            {
                "operations": size,
                "nodes": wired.num_nodes,
                "edges": len(wired.edges),
                "joins": len(wired.joins),
            }
        )
    return rows
