"""List, describe, count, sample and validate search spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.commands import command_group
from nas.cli.output import print_json, print_table, print_text, talk

if TYPE_CHECKING:
    from nas.space.choices import Choice

app = command_group(__doc__)

SpaceArgument = Annotated[str, typer.Argument(help="Name of a space, or path of a .yaml file.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
MAXIMUM_SAMPLES = 100_000


@app.command("list")
def list_spaces(as_json: Json = False) -> None:
    """List the spaces that come with the package."""
    from nas.space import load_space, space_names
    from nas.space.counting import json_count, short_count

    spaces = [load_space(name) for name in space_names()]
    if as_json:
        entries = [
            {"name": space.name, "members": json_count(space.count()), "summary": space.summary}
            for space in spaces
        ]
        print_json({"schema": "nas.spaces/1", "spaces": entries})
        return
    rows = [(space.name, short_count(space.count()), space.summary) for space in spaces]
    print_table(("space", "members", "summary"), rows)


@app.command()
def describe(space: SpaceArgument, as_json: Json = False) -> None:
    """Show the choices of a space, what they open, and its hand-made wirings."""
    from nas.space import load_space
    from nas.space.counting import json_count, short_count

    loaded = load_space(space)
    if as_json:
        print_json(
            {
                "schema": "nas.space_description/1",
                "name": loaded.name,
                "summary": loaded.summary,
                "members": json_count(loaded.count()),
                "fingerprint": loaded.fingerprint,
                "declaration": loaded.to_dict(),
                "known": loaded.known(),
            }
        )
        return
    print_text(f"{loaded.name}: {loaded.summary}")
    print_text(f"members: {short_count(loaded.count())}")
    print_text(f"hand-made wirings: {', '.join(loaded.known()) or 'none'}")
    rows = _choice_rows(loaded.choices)
    several = any(name.endswith("inputs") for name, _ in rows)
    print_text(
        "Indented choices depend on the answer above them"
        + ("; of 'inputs', several are chosen." if several else ".")
    )
    print_table(("choice", "answers"), rows)


@app.command()
def count(space: SpaceArgument, as_json: Json = False) -> None:
    """Count the members, and the different networks among them."""
    from nas.space import load_space
    from nas.space.base import DISTINCT_LIMIT
    from nas.space.counting import exact_count, json_count, short_count

    loaded = load_space(space)
    members = loaded.count()
    if members > 20_000:
        talk(f"{short_count(members)} members; looking for duplicates where that is possible")
    distinct = loaded.distinct()
    document = {
        "schema": "nas.space_count/1",
        "space": loaded.name,
        "members": json_count(members),
        "distinct": distinct,
    }
    if distinct is None:
        document["reason"] = (
            f"more than {DISTINCT_LIMIT:,} members: each would have to be built to tell them "
            "apart; nas space sample draws some"
        )
    if as_json:
        print_json(document)
        return
    print_text(f"members   {exact_count(members)}")
    print_text(f"distinct  {document['reason'] if distinct is None else f'{distinct:,}'}")


@app.command()
def sample(
    space: SpaceArgument,
    number: Annotated[
        int, typer.Option("--number", "-n", min=1, max=MAXIMUM_SAMPLES, help="Members to draw.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw members at random: every question is answered uniformly."""
    import numpy as np

    from nas.seeds import derive_seed
    from nas.space import load_space
    from nas.topology.identity import structural_id

    loaded = load_space(space)
    members = [
        loaded.sample(np.random.default_rng(derive_seed(seed, "sample", index)))
        for index in range(number)
    ]
    rows = [
        (loaded.wiring(member), structural_id(loaded.build(member)), member) for member in members
    ]
    if as_json:
        entries = [
            {"wiring": wiring, "architecture": identity, "decisions": member}
            for wiring, identity, member in rows
        ]
        print_json({"schema": "nas.space_sample/1", "space": loaded.name, "members": entries})
        return
    for wiring, identity, member in rows:
        print_text(f"{identity}  {wiring}")
        for name, answer in member.items():
            shown = " ".join(answer) if isinstance(answer, list) else answer
            print_text(f"  {name} = {shown}")


@app.command()
def validate(space: SpaceArgument, as_json: Json = False) -> None:
    """Check a space file: its keys, and that its members can be built and computed."""
    from nas.space import load_space
    from nas.space.counting import json_count, short_count

    loaded = load_space(space)
    if as_json:
        print_json(
            {
                "schema": "nas.space_validation/1",
                "space": loaded.name,
                "valid": True,
                "members": json_count(loaded.count()),
                "fingerprint": loaded.fingerprint,
            }
        )
        return
    print_text(f"{loaded.name}: valid, {short_count(loaded.count())} members")


def _choice_rows(choices: tuple[Choice, ...]) -> list[tuple[str, str]]:
    """Return a row per question, with every answer that any branch of the space offers."""
    found: dict[str, tuple[int, list[str]]] = {}
    _gather(choices, 0, found)
    return [("  " * depth + name, ", ".join(answers)) for name, (depth, answers) in found.items()]


def _gather(
    choices: tuple[Choice, ...], depth: int, found: dict[str, tuple[int, list[str]]]
) -> None:
    from nas.space.choices import OneOf

    for choice in choices:
        answers = found.setdefault(choice.name, (depth, []))[1]
        if not isinstance(choice, OneOf):
            offered = list(choice.items)
        else:
            offered = [str(option.value) for option in choice.options]
        answers += [answer for answer in offered if answer not in answers]
        if isinstance(choice, OneOf):
            for option in choice.options:
                _gather(option.choices, depth + 1, found)
