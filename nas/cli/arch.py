"""Build a network by name, or show one of a run or a file: cost, wiring, ids."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.arch_bench import bench
from nas.cli.arch_draw import draw
from nas.cli.arch_edit import diff, edit
from nas.cli.arch_export import export
from nas.cli.arch_train import train
from nas.cli.commands import command_group
from nas.cli.output import draws_unicode, print_json, print_table, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunsOption

if TYPE_CHECKING:
    from nas.cost.count import NodeCost
    from nas.topology.graph import Architecture, Node
    from nas.topology.layers import Shape

app = command_group(__doc__)
app.command()(bench)
app.command()(edit)
app.command()(diff)
app.command()(export)
app.command()(train)
app.command()(draw)

DEFAULT_INPUT = "3x32x32"
DEFAULT_CLASSES = 10
_LARGEST_SIDE = 16_384
_LONGEST_NUMBER = 10_000
"""Bits of a number that is printed in full; Python and others refuse to write much longer ones."""

Input = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="CxHxW",
        help="Shape of an image; by default 3x32x32, or what a network was published for.",
    ),
]
Classes = Annotated[
    int | None,
    typer.Option(
        "--classes",
        min=2,
        max=1_000_000,
        help="Classes; by default 10, or 1000 for networks of ImageNet.",
    ),
]


@app.command()
def build(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[:key=value,...]",
            help="resnet:depth=50, ... or a pattern: dense:size=5,width=16,merge=sum, "
            "csp(inner=dense):size=6.",
        ),
    ],
    input_shape: Input = None,
    classes: Classes = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the architecture as JSON, too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Build a published network or a connection pattern; print its cost and measures."""
    from nas.cli.named_architectures import build_named
    from nas.topology.published import usual_images
    from nas.topology.serial import architecture_text

    usual_shape, usual_classes = usual_images(name)
    shape = parse_shape(input_shape) if input_shape else usual_shape
    num_classes = classes or usual_classes
    architecture = build_named(name)
    numbers = {
        **_cost(architecture, shape, num_classes),
        **_paths(architecture),
    }
    if output is not None:
        write_new(output, architecture_text(architecture) + "\n")
        talk(f"wrote {output}; next: nas arch show {output}")
    if as_json:
        print_json(
            {
                "schema": "nas.arch_build/1",
                "name": name,
                "input": list(shape),
                "classes": num_classes,
                **numbers,
                "ids": _ids(architecture),
            }
        )
        return
    for key, value in numbers.items():
        print_text(f"{key.replace('_', ' '):<23}{_shown(value)}")


@app.command()
def show(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN:TRIAL|FILE|NAME", help="Trial of a run, a JSON file, or a name to build."
        ),
    ],
    input_shape: Input = None,
    classes: Classes = None,
    runs: RunsOption = RUNS,
    ascii_only: Annotated[
        bool, typer.Option("--ascii", help="Draw with ASCII characters alone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the nodes, edges, wiring, cost and ids of one network."""
    from nas.cli.named_architectures import find_network

    found = find_network(source, runs)
    architecture = found.architecture
    shape = parse_shape(input_shape) if input_shape else found.input_shape or (3, 32, 32)
    num_classes = classes or found.num_classes or DEFAULT_CLASSES
    if as_json:
        print_json({"source": source, **_document(architecture, shape, num_classes)})
        return
    _show_text(architecture, shape, num_classes, ascii_only=ascii_only or not draws_unicode())


def _document(architecture: Architecture, shape: Shape, num_classes: int) -> dict[str, Any]:
    from nas.topology.layout import layout
    from nas.topology.serial import dump_architecture

    dumped = dump_architecture(architecture)
    return {
        "schema": "nas.arch/1",
        "wiring": "-".join(architecture.wiring),
        "input": list(shape),
        "classes": num_classes,
        "ids": _ids(architecture),
        "cost": _cost(architecture, shape, num_classes),
        "measures": _paths(architecture),
        "nodes": dumped["nodes"],
        "edges": dumped["edges"],
        "head": architecture.head,
        "layout": layout(architecture).to_dict(),
    }


def _show_text(
    architecture: Architecture, shape: Shape, num_classes: int, *, ascii_only: bool
) -> None:
    from nas.cost.count import cost
    from nas.topology.text_drawing import drawn_nodes, in_ascii

    print_text(f"wiring      {'-'.join(architecture.wiring) or '-'}")
    for name, identity in _ids(architecture).items():
        print_text(f"{name:<12}{identity or '-'}")
    print_text(f"input       {'x'.join(map(str, shape))}, {num_classes} classes")
    costs = cost(architecture, shape, num_classes)
    print_text(
        f"cost        {costs.parameters:,} parameters, {costs.macs:,} MACs, "
        f"depth {costs.depth}, {len(architecture.edges)} edges"
    )
    pictures = [line.picture for line in drawn_nodes(architecture)]
    if ascii_only:
        pictures = [in_ascii(picture) for picture in pictures]
    print_table(
        ("node", "name", "operation", "inputs", "merge", "parameters", "macs", "wiring"),
        [
            (*_node_row(architecture, index, costs.nodes[index]), picture)
            for index, picture in enumerate(pictures)
        ],
    )


def parse_shape(text: str) -> Shape:
    """Read `CxHxW`.

    Raises:
        ConfigError: If it is anything else, or a side is not 1 to 16384.
    """
    from nas.errors import ConfigError

    form = re.fullmatch(r"(\d{1,6})[xX×](\d{1,6})[xX×](\d{1,6})", text.strip())
    sides = [int(side) for side in form.groups()] if form else []
    if not sides or not all(1 <= side <= _LARGEST_SIDE for side in sides):
        raise ConfigError(
            f"'{text}' is no shape of an image: it is channels x height x width, each 1 to "
            f"{_LARGEST_SIDE}.",
            where="--input",
            fix=f"Write for example --input {DEFAULT_INPUT}.",
        )
    return sides[0], sides[1], sides[2]


def _cost(architecture: Architecture, shape: Shape, num_classes: int) -> dict[str, int]:
    from nas.cost.activations import activations
    from nas.cost.count import cost

    costs = cost(architecture, shape, num_classes)
    names = ("parameters", "macs", "bytes", "critical_path", "depth")
    found = {name: getattr(costs, name) for name in names}
    return {**found, "peak_activation_bytes": activations(architecture, shape).peak_bytes}


def summary(architecture: Architecture, shape: Shape, num_classes: int) -> dict[str, Any]:
    """Return the structural id, the cost and the measures of a network."""
    from nas.topology.identity import structural_id

    costs = _cost(architecture, shape, num_classes)
    return {"id": structural_id(architecture), **costs, **_paths(architecture)}


def _paths(architecture: Architecture) -> dict[str, object]:
    """Return the measures of the wiring; counts too long to print become powers of ten."""
    from nas.topology.liveness import peak_live_tensors
    from nas.topology.measures import measures
    from nas.topology.path_mass import effective_depth

    found = {
        **measures(architecture).to_dict(),
        "effective_depth": effective_depth(architecture),
        "peak_live_tensors": peak_live_tensors(architecture),
    }
    return {key: _printable(value) for key, value in found.items()}


def _printable(value: object) -> object:
    if isinstance(value, list):
        return [_printable(entry) for entry in value]
    if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
        return f"10^{int(value.bit_length() * 0.30103)}"
    return value


def _ids(architecture: Architecture) -> dict[str, str | None]:
    """Return the three ids; a network too long for one has None in its place, and says why."""
    from nas.errors import ArchitectureError
    from nas.topology.identity import executed_id, sharing_id, structural_id

    found: dict[str, str | None] = {}
    identify = {"structural": structural_id, "sharing": sharing_id, "executed": executed_id}
    for name, function in identify.items():
        try:
            found[name] = function(architecture)
        except ArchitectureError as error:
            talk(f"no {name} id: {error.what}")
            found[name] = None
    return found


def _node_row(architecture: Architecture, index: int, own: NodeCost) -> tuple[object, ...]:
    node = architecture.nodes[index]
    merge = node.merge if len(architecture.inputs(index)) > 1 else "-"
    inputs = _inputs(architecture, index)
    return (index, node.name or "-", _operation(node), inputs, merge, own.parameters, own.macs)


def _operation(node: Node) -> str:
    what = str(node.operation)
    if node.cell is not None:
        what = f"cell of {len(node.cell.nodes)} nodes" + (f" ({node.motif})" if node.motif else "")
    flags = [" exit"] if node.exit else []
    flags += [" own norms"] if node.own_norms else []
    width = f" {node.width}" if node.width else ""
    return f"{what}{width}{f' /{node.stride}' if node.stride > 1 else ''}{''.join(flags)}"


def _inputs(architecture: Architecture, index: int) -> str:
    from nas.topology.edits.base import edge_details

    texts = []
    for edge in architecture.inputs(index):
        details = edge_details(edge)
        texts.append(f"{edge.source} ({', '.join(details)})" if details else str(edge.source))
    return " ".join(texts) or "-"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} of {degree}" for degree, count in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        ConfigError: If it is there, or cannot be written.
    """
    from nas.errors import ConfigError

    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{path} exists already.", fix="Name another file, or remove this one first."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}.",
            fix="Name a file in a folder that you may write to.",
        ) from None
