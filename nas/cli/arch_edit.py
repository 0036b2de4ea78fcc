"""Edit a network and record the lineage, or tell how far two networks are apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.output import print_json, print_table, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunsOption

if TYPE_CHECKING:
    from nas.topology.edits import AbstractEdit, Lineage
    from nas.topology.graph import Architecture, Edge

_LARGEST_FILE = 16_000_000
Source = Annotated[
    str,
    typer.Argument(
        metavar="RUN:TRIAL|FILE|NAME", help="Trial of a run, a JSON file, or a name to build."
    ),
]
InputShape = Annotated[
    str | None, typer.Option("--input", metavar="CxHxW", help="Shape of an image.")
]


def edit(
    source: Source,
    random: Annotated[
        int | None,
        typer.Option("--random", min=1, max=1000, help="Draw so many edits, one after the other."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    kinds: Annotated[
        str | None, typer.Option("--kinds", help="Draw only these, as in add_edge,rewire.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option("--replay", help="Apply the edits of a lineage file.")
    ] = None,
    rewrite: Annotated[
        str | None,
        typer.Option(
            "--rewrite",
            help="Let residual blocks wait less: lagged:1, side_by_side:2, first_order.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the child as JSON.")
    ] = None,
    lineage: Annotated[
        Path | None, typer.Option("--lineage", help="Write parent and edits as JSON.")
    ] = None,
    input_shape: InputShape = None,
    classes: Annotated[int | None, typer.Option("--classes", min=2, max=1_000_000)] = None,
    runs: RunsOption = RUNS,
    as_json: Json = False,
) -> None:
    """Start from a network and change it: by random edits, recorded ones, or a rewrite."""
    from nas.cli.arch import DEFAULT_CLASSES, parse_shape, summary, write_new
    from nas.cli.named_architectures import find_network
    from nas.errors import ConfigError
    from nas.topology.serial import architecture_text

    if sum(choice is not None for choice in (random, replay, rewrite)) != 1:
        raise ConfigError(
            "There is nothing to do, or too much.",
            fix="Give one of --random N, --replay FILE and --rewrite NAME.",
        )
    found = find_network(source, runs)
    shape = parse_shape(input_shape) if input_shape else found.input_shape or (3, 32, 32)
    num_classes = classes or found.num_classes or DEFAULT_CLASSES
    parent = found.architecture
    history = (
        _read_lineage(replay)
        if replay is not None
        else _rewrite(parent, rewrite)
        if rewrite is not None
        else _draw(parent, random or 0, seed, kinds, (shape, num_classes))
    )
    child = history.replay(parent)
    numbers = [summary(network, shape, num_classes) for network in (parent, child)]
    if output is not None:
        write_new(output, architecture_text(child) + "\n")
    if lineage is not None:
        _write_lineage(lineage, history)
    if as_json:
        print_json(
            {
                "schema": "nas.arch_edit/1",
                "source": source,
                "parent": numbers[0],
                "child": numbers[1],
                "lineage": history.dump(),
            }
        )
        return
    _print_child(history, numbers)
    if output is not None:
        talk(f"wrote {output}; next: nas arch show {output}")


def _print_child(history: Lineage, numbers: list[dict[str, Any]]) -> None:
    from nas.topology.edits import dump_edit

    for step in history.edits:
        print_text(_told(dump_edit(step)))
    columns = ("network", "structural id", "parameters", "macs", "nodes", "edges", "paths")
    print_table(
        columns,
        [
            (name, row["id"], *(row[key] for key in columns[2:]))
            for name, row in zip(("parent", "child"), numbers, strict=True)
        ],
    )


def diff(
    first: Source,
    second: Source,
    effort: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="States that the search looks at.")
    ] = 20_000,
    runs: RunsOption = RUNS,
    as_json: Json = False,
) -> None:
    """Tell how many small steps two networks are apart, and what differs."""
    from nas.cli.named_architectures import find_network
    from nas.topology.distance import difference, edit_distance
    from nas.topology.identity import structural_id

    ours, theirs = (find_network(source, runs).architecture for source in (first, second))
    found = edit_distance(ours, theirs, effort=effort)
    told = difference(ours, theirs, found.pairs)
    same = structural_id(ours) == structural_id(theirs)
    if as_json:
        print_json(
            {
                "schema": "nas.arch_diff/1",
                "sources": [first, second],
                "same_network": same,
                "distance": {"lower": found.lower, "upper": found.upper, "exact": found.exact},
                "removed_nodes": told.removed_nodes,
                "added_nodes": told.added_nodes,
                "changed_nodes": [list(pair) for pair in told.changed],
                "removed_edges": _ends(told.removed_edges),
                "added_edges": _ends(told.added_edges),
            }
        )
        return
    steps = str(found.upper) if found.exact else f"{found.lower} to {found.upper}"
    noun = "step" if found.upper == 1 else "steps"
    print_text(
        f"distance  {steps} {noun}{', yet the same network' if same and found.upper else ''}"
    )
    if found.upper:
        print_text(f"          - numbered as in {first}, + as in {second}")
    _print_difference(ours, theirs, told)


def _print_difference(ours: Architecture, theirs: Architecture, told: Any) -> None:
    from nas.topology.edits.base import edge_text
    from nas.topology.flatten import flatten
    from nas.topology.text_drawing import drawn_nodes

    ours, theirs = flatten(ours), flatten(theirs)
    left, right = ([line.label for line in drawn_nodes(network)] for network in (ours, theirs))
    rows = [("-", left[node]) for node in told.removed_nodes]
    rows += [("+", right[node]) for node in told.added_nodes]
    for one, other in told.changed:
        merges = (ours.nodes[one].merge, theirs.nodes[other].merge)
        merge = f"  ({merges[0]} => {merges[1]})" if merges[0] != merges[1] else ""
        rows.append(("~", f"{left[one]}  =>  {right[other]}{merge}"))
    rows += [("-", f"edge {edge_text(edge)}") for edge in told.removed_edges]
    rows += [("+", f"edge {edge_text(edge)}") for edge in told.added_edges]
    for sign, text in rows:
        print_text(f"{sign} {text}")


def _ends(edges: list[Edge]) -> list[list[int]]:
    return [[edge.source, edge.target] for edge in edges]


def _draw(
    parent: Architecture, count: int, seed: int, kinds: str | None, images: tuple[Any, int]
) -> Lineage:
    import numpy as np

    from nas.cost.count import cost
    from nas.topology.edits import Lineage, Vocabulary, random_edits

    names = None if kinds is None else [name.strip() for name in kinds.split(",")]
    edits: list[AbstractEdit] = random_edits(
        parent,
        np.random.default_rng(seed),
        check=lambda network: cost(network, *images),
        count=count,
        vocabulary=Vocabulary(max_nodes=len(parent.nodes) + count),
        edits=names,
    )
    if len(edits) < count:
        talk(f"only {len(edits)} of {count} edits fit this network")
    return Lineage.of(parent, edits)


def _rewrite(parent: Architecture, text: str) -> Lineage:
    """Return a rewrite as the edits that it is: each edge that reads something else is rewired."""
    from nas.topology.edits import Lineage, Rewire
    from nas.topology.rewrites import rewrite

    child = rewrite(parent, text)
    before, after = (
        sorted(edges, key=lambda edge: (edge.target, edge.source))
        for edges in ({*parent.edges} - {*child.edges}, {*child.edges} - {*parent.edges})
    )
    return Lineage.of(parent, (Rewire(*pair) for pair in zip(before, after, strict=True)))


def _read_lineage(path: Path) -> Lineage:
    import json

    from nas.errors import ConfigError, NotFoundError
    from nas.topology.edits import Lineage

    try:
        with path.open("rb") as stream:
            text = stream.read(_LARGEST_FILE + 1)
        if len(text) > _LARGEST_FILE:
            raise ConfigError(
                f"{path} is larger than {_LARGEST_FILE:,} bytes.",
                fix="Give a lineage as `nas arch edit --lineage` writes it.",
            )
        return Lineage.load(json.loads(text))
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no file '{path}'.", fix="`nas arch edit ... --lineage FILE` writes one."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", fix="Check the path and who may read it."
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{path} is no JSON: {error}.",
            fix="Give a file that `nas arch edit` or `nas arch build` wrote.",
        ) from None


def _write_lineage(path: Path, history: Lineage) -> None:
    import json

    from nas.cli.arch import write_new

    write_new(path, json.dumps(history.dump(), allow_nan=False) + "\n")


def _told(data: dict[str, Any]) -> str:
    import json

    fields = (f"{key}={json.dumps(value)}" for key, value in data.items() if key != "edit")
    text = f"{data['edit']} {' '.join(fields)}"
    return text if len(text) <= 160 else text[:159] + "…"
