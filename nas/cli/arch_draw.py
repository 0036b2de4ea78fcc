"""Draw one network into a file: SVG and DOT by themselves, PNG by Graphviz."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nas.cli.output import print_text
from nas.cli.run_folders import RUNS, RunsOption

if TYPE_CHECKING:
    from nas.topology.graph import Architecture

MOST_PNG_EDGES: Final = 3_000
"""Edges that Graphviz lays out in seconds; with more it may take hours."""


def draw(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN:TRIAL|FILE|NAME", help="Trial of a run, a JSON file, or a name to build."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write: .svg, .png, .dot or .gv.")
    ],
    runs: RunsOption = RUNS,
) -> None:
    """Draw the wiring of one network into a new file; its name says the format."""
    from nas.cli.named_architectures import find_network

    form = form_of(output)
    architecture = find_network(source, runs).architecture
    write_drawing(output, form(architecture, source))
    print_text(str(output))


def form_of(output: Path) -> Callable[[Architecture, str], bytes]:
    """Return what makes a drawing of the format that a file's name asks for.

    Raises:
        ConfigError: If it is none that is known.
    """
    from nas.errors import ConfigError

    forms = {".svg": _svg, ".png": _png, ".dot": _dot, ".gv": _dot}
    if output.suffix.lower() not in forms:
        raise ConfigError(
            f"'{output.name}' names no format of drawings: {', '.join(forms)}.",
            where="--output",
            fix="Write for example -o network.svg.",
        )
    return forms[output.suffix.lower()]


def write_drawing(output: Path, data: bytes) -> None:
    """Write a file that is not there yet, whole or not at all.

    Raises:
        ConfigError: If it is there, or its folder is not.
        EnvironmentFault: If the disk refuses it.
    """
    from nas.errors import ConfigError
    from nas.run_store.atomic import write_bytes

    if os.path.lexists(output):
        raise ConfigError(
            f"{output} exists already.",
            where="--output",
            fix="Name another file, or remove this one first.",
        )
    if not output.absolute().parent.is_dir():
        raise ConfigError(
            f"{output.parent} does not exist.",
            where="--output",
            fix="Name a file in a folder that exists.",
        )
    write_bytes(output.absolute(), data)


def _svg(architecture: Architecture, title: str) -> bytes:
    from nas.topology.svg_drawing import draw_architecture

    return draw_architecture(architecture, title).encode() + b"\n"


def _dot(architecture: Architecture, title: str) -> bytes:
    from nas.topology.dot_drawing import dot_text

    return dot_text(architecture).encode()


def _png(architecture: Architecture, title: str) -> bytes:
    """Return the picture that Graphviz makes.

    Raises:
        EnvironmentFault: If pygraphviz or Graphviz's `dot` is missing.
        ConfigError: If the network has too many edges for it.
    """
    from nas.errors import ConfigError, EnvironmentFault

    if len(architecture.edges) > MOST_PNG_EDGES:
        raise ConfigError(
            f"A network of {len(architecture.edges):,} edges is too large for a PNG; at most "
            f"{MOST_PNG_EDGES:,}.",
            where="--output",
            fix="Draw it as .svg.",
        )
    try:
        import pygraphviz
    except ImportError as error:
        raise EnvironmentFault(
            "PNG drawings need pygraphviz, which is not installed.",
            where="--output",
            fix="Install Graphviz (Debian: apt install graphviz libgraphviz-dev), then "
            "pip install 'nas[draw]'; or draw it as .svg, which needs neither.",
        ) from error
    graph = pygraphviz.AGraph(string=_dot(architecture, title).decode())
    try:
        picture: bytes = graph.draw(format="png", prog="dot")
    except (OSError, ValueError) as error:
        raise EnvironmentFault(
            "Graphviz could not draw the network.",
            where="--output",
            why=str(error).strip().splitlines()[0][:200] if str(error).strip() else None,
            fix="Check `dot -V`; or draw it as .svg, which needs no Graphviz.",
        ) from error
    return picture
