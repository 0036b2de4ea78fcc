"""Build a network by name, or show one of a run or a file: cost, wiring, ids."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.arch_bench import bench
from nas.cli.commands import command_group
from nas.cli.output import print_json, print_table, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunsOption

if TYPE_CHECKING:
    from nas.cost.count import NodeCost
    from nas.topology.graph import Architecture
    from nas.topology.layers import Shape

app = command_group(__doc__)
app.command()(bench)

DEFAULT_INPUT = "3x32x32"
DEFAULT_CLASSES = 10
_LARGEST_SIDE = 16_384

Input = Annotated[
    str | None,
    typer.Option("--input", metavar="CxHxW", help="Shape of an image; by default 3x32x32."),
]
Classes = Annotated[
    int | None, typer.Option("--classes", min=2, max=1_000_000, help="Classes; by default 10.")
]


@app.command()
def build(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[:key=value,...]",
            help="resnet:depth=20, densenet_bc, ... or a pattern: dense:size=5,width=16,merge=sum.",
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
    from nas.topology.measures import measures
    from nas.topology.serial import architecture_text

    shape = parse_shape(input_shape or DEFAULT_INPUT)
    num_classes = classes or DEFAULT_CLASSES
    architecture = build_named(name)
    numbers = {
        **_cost(architecture, shape, num_classes),
        **measures(architecture).to_dict(),
    }
    if output is not None:
        _write_new(output, architecture_text(architecture) + "\n")
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
        print_text(f"{key.replace('_', ' '):<16}{_shown(value)}")


@app.command()
def show(
    source: Annotated[
        str, typer.Argument(metavar="RUN:TRIAL|FILE", help="Trial of a run, or a JSON file.")
    ],
    input_shape: Input = None,
    classes: Classes = None,
    runs: RunsOption = RUNS,
    as_json: Json = False,
) -> None:
    """Show the nodes, edges, cost and ids of one network."""
    from nas.cli.named_architectures import find_architecture
    from nas.cost.count import cost
    from nas.topology.measures import measures
    from nas.topology.serial import dump_architecture

    found = find_architecture(source, runs)
    architecture = found.architecture
    shape = parse_shape(input_shape) if input_shape else found.input_shape or (3, 32, 32)
    num_classes = classes or found.num_classes or DEFAULT_CLASSES
    if as_json:
        dumped = dump_architecture(architecture)
        print_json(
            {
                "schema": "nas.arch/1",
                "source": source,
                "wiring": "-".join(architecture.wiring),
                "input": list(shape),
                "classes": num_classes,
                "ids": _ids(architecture),
                "cost": _cost(architecture, shape, num_classes),
                "measures": measures(architecture).to_dict(),
                "nodes": dumped["nodes"],
                "edges": dumped["edges"],
            }
        )
        return
    print_text(f"wiring      {'-'.join(architecture.wiring) or '-'}")
    for name, identity in _ids(architecture).items():
        print_text(f"{name:<12}{identity}")
    print_text(f"input       {'x'.join(map(str, shape))}, {num_classes} classes")
    costs = cost(architecture, shape, num_classes)
    print_text(
        f"cost        {costs.parameters:,} parameters, {costs.macs:,} MACs, "
        f"depth {costs.depth}, {len(architecture.edges)} edges"
    )
    print_table(
        ("node", "name", "operation", "inputs", "merge", "parameters", "macs"),
        [
            _node_row(architecture, index, own)
            for index, own in enumerate(costs.nodes[: len(architecture.nodes)])
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


def _ids(architecture: Architecture) -> dict[str, str]:
    from nas.topology.identity import executed_id, sharing_id, structural_id

    return {
        "structural": structural_id(architecture),
        "sharing": sharing_id(architecture),
        "executed": executed_id(architecture),
    }


def _node_row(architecture: Architecture, index: int, own: NodeCost) -> tuple[object, ...]:
    node = architecture.nodes[index]
    merge = node.merge if len(architecture.inputs(index)) > 1 else "-"
    inputs = _inputs(architecture, index)
    return (index, node.name or "-", _operation(node), inputs, merge, own.parameters, own.macs)


def _operation(node: Any) -> str:
    what = "cell" if node.cell is not None else str(node.operation)
    width = f" {node.width}" if node.width else ""
    return f"{what}{width}{f' /{node.stride}' if node.stride > 1 else ''}"


def _inputs(architecture: Architecture, index: int) -> str:
    edges = architecture.inputs(index)
    texts = [
        str(edge.source) + (f" ({edge.transform})" if edge.transform != "auto" else "")
        for edge in edges
    ]
    return " ".join(texts) or "-"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} of {degree}" for degree, count in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(f"{item:,}" for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _write_new(path: Path, text: str) -> None:
    from nas.errors import ConfigError

    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{path} exists already.", fix="Name another file, or remove this one first."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None
