"""List the connection patterns, or tell about one."""

from __future__ import annotations

from typing import Annotated

import typer

from nas.cli.output import print_json, print_table, print_text


def patterns(
    name: Annotated[
        str | None,
        typer.Argument(help="A pattern, such as dense or 'csp(inner=dense)'; all without."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    catalogue: Annotated[
        bool, typer.Option("--catalogue", help="The page docs/catalogue.md, from the registries.")
    ] = False,
) -> None:
    """Print the registry: what wires how, and which paper it is from."""
    if catalogue:
        from nas.topology.catalogue import catalogue as page

        print_text(page().removesuffix("\n"))
    elif name is not None:
        _one(name, as_json)
    else:
        _all(as_json)


def _all(as_json: bool) -> None:
    from nas.topology.pattern_facts import pattern_facts
    from nas.topology.patterns import PATTERNS

    entries = [pattern_facts(known) for known in PATTERNS]
    if as_json:
        document = [entry.to_dict() for entry in entries]
        print_json({"schema": "nas.patterns/1", "patterns": document})
        return
    rows = [
        (
            entry.name,
            ",".join(parameter.name for parameter in entry.parameters) or "-",
            entry.paper or "-",
            entry.picture,
        )
        for entry in entries
    ]
    print_table(("pattern", "parameters", "paper", "picture"), rows)


def _one(name: str, as_json: bool) -> None:
    from nas.topology.pattern_facts import pattern_facts

    facts = pattern_facts(name)
    if as_json:
        print_json({"schema": "nas.pattern/1", **facts.to_dict()})
        return
    print_text(f"{facts.name}{f' ({facts.paper})' if facts.paper else ''}")
    print_text(f"{facts.text}\n")
    print_text(f"formula  {facts.formula}")
    print_text(f"sizes    {facts.sizes}")
    print_text(f"merge    {facts.merge}")
    for parameter in facts.parameters:
        print_text(f"{parameter.name}={parameter.value}: {parameter.meaning} ({parameter.allowed})")
    print_text(f"\n{facts.picture}\n\n{facts.drawing}\n")
    columns = ("operations", "nodes", "edges", "joins")
    print_table(columns, [[getattr(row, column) for column in columns] for row in facts.examples])
    print_text("")
    for command in facts.commands:
        print_text(command)
