"""Check a data set, convert one to .npz, or write its images as files."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from nas.cli.commands import command_group
from nas.cli.output import print_json, print_table, print_text, visible

if TYPE_CHECKING:
    from nas.training.data.decoded_cache import Progress as Report
    from nas.training.data.summary import DataSummary

app = command_group(__doc__)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
ImageSize = Annotated[
    int | None,
    typer.Option(metavar="S", help="Scale to S x S pixels: shorter side to S, middle cut out."),
]


@app.command()
def check(
    spec: Annotated[str, typer.Argument(help="digits, a path, or module:function.")],
    image_size: ImageSize = None,
    as_json: Json = False,
) -> None:
    """Load a data set, check it, and print shapes, classes, statistics and the fingerprint."""
    from nas.training.data.load import load_data
    from nas.training.data.summary import summarise

    with _progress("decoding") as report:
        data = load_data(spec, image_size=image_size, progress=report)
    _show(summarise(data), as_json)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="Any data set, or a folder of JPEG archives.")],
    output: Annotated[Path, typer.Argument(help="File to write, ending in .npz.")],
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="At most N training and N test images, by class."),
    ] = None,
    image_size: ImageSize = None,
    as_json: Json = False,
) -> None:
    """Write a data set as one .npz with x_train, y_train, x_test and y_test."""
    from nas.training.convert import convert_data
    from nas.training.data.summary import summarise

    with _progress("decoding") as report:
        data = convert_data(source, output, limit=limit, image_size=image_size, progress=report)
    _show(summarise(data), as_json)
    following = f"nas search wired_cnn --data {shlex.quote(str(output))}"
    typer.echo(visible(f"wrote {output}; next: {following}"), err=True)


@app.command()
def images(
    source: Annotated[str, typer.Argument(help="digits, a path, or module:function.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")],
    part: Annotated[str, typer.Option(metavar="train|test", help="Which images.")] = "test",
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="At most N images, each class with its share.")
    ] = None,
    image_size: ImageSize = None,
) -> None:
    """Write images of a data set as PNG files, CLASS/NUMBER.png."""
    from nas.errors import ConfigError
    from nas.training.data.load import load_data
    from nas.training.data.picture_files import write_pictures

    if part not in ("train", "test"):
        raise ConfigError(
            f"A data set has no part '{part[:40]}'.", where="--part", fix="Write train or test."
        )
    with _progress("decoding") as report:
        data = load_data(source, image_size=image_size, progress=report)
    count = write_pictures(data, output.expanduser(), "test" if part == "test" else "train", limit)
    print_text(f"wrote {count} {part} images to {output}")
    typer.echo(visible(f"next: nas predict RUN:best {shlex.quote(str(output))}"), err=True)


@contextmanager
def _progress(what: str) -> Iterator[Report]:
    """Show a bar on stderr, or a line per part where stderr is no terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[int, object] = {}

        def report(done: int, total: int) -> None:
            if total not in tasks:
                tasks[total] = bar.add_task(what, total=total)
            bar.update(tasks[total], completed=done)  # type: ignore[arg-type]
            if done == total and not console.is_terminal:
                typer.echo(f"{what}: {done} images", err=True)

        yield report


def _show(summary: DataSummary, as_json: bool) -> None:
    if as_json:
        print_json(summary.as_dict())
        return
    channels, height, width = summary.input_shape
    print_text(f"name         {summary.name}")
    print_text(f"images       {channels} x {height} x {width}, {summary.dtype}")
    print_text(f"train, test  {summary.count_train}, {summary.count_test}")
    print_text(f"mean         {_row(summary.mean)}")
    print_text(f"deviation    {_row(summary.deviation)}")
    print_text(
        f"duplicates   {summary.duplicates_train_test} test images also in train, "
        f"{summary.duplicates_train} repeats in train, {summary.duplicates_test} in test"
    )
    print_text(f"fingerprint  {summary.fingerprint}")
    rows = zip(summary.classes, summary.train_per_class, summary.test_per_class, strict=True)
    print_table(
        ("label", "class", "train", "test"),
        [(label, name, train, test) for label, (name, train, test) in enumerate(rows)],
    )


def _row(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
