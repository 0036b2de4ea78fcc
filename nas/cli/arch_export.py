"""Take a network home: as ONNX, readable PyTorch or another format, checked and described."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import one_line, print_json, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunsOption

if TYPE_CHECKING:
    from nas.export.checking import Agreement
    from nas.export.formats import FormatOptions

DYNAMIC = "dynamic"
_LARGEST_BATCH = 65_536


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN:TRIAL|FOLDER|FILE|NAME",
            help="Trial of a run (a number, best, knee or under-2ms), an exported folder, a JSON "
            "file, or a name as in `nas arch build`.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder to make; or one file with the format's ending; or FILE.zip.",
        ),
    ],
    export_format: Annotated[
        str,
        typer.Option(
            "--format", metavar="NAME", help="onnx, torch-export, source, executorch or json."
        ),
    ] = "onnx",
    fold: Annotated[
        bool, typer.Option("--fold", help="Fold batch norms into the convolutions before them.")
    ] = False,
    batch: Annotated[str, typer.Option(metavar="N|dynamic", help="Images of one call.")] = DYNAMIC,
    weights: Annotated[
        str,
        typer.Option(
            metavar="WHICH",
            help="trained, confirmed or inherited; auto takes the first there is.",
        ),
    ] = "auto",
    data: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="Data of a FILE or NAME: its classes and real images."),
    ] = None,
    input_shape: Annotated[
        str | None,
        typer.Option("--input", metavar="CxHxW", help="Shape of an image of a FILE or NAME."),
    ] = None,
    classes: Annotated[int | None, typer.Option("--classes", min=2, max=1_000_000)] = None,
    runs: RunsOption = RUNS,
    as_json: Json = False,
) -> None:
    """Write a network with its model card, checked on real images; nothing is left half-written."""
    from nas.cli.parcels import ParcelWishes, find_parcel
    from nas.export.export import check_output, export_parcel
    from nas.export.formats import FormatOptions

    options = FormatOptions(fold=fold, batch=read_batch(batch))
    output = output.expanduser()
    check_output(output, export_format, options)
    wishes = ParcelWishes(weights, data, input_shape, classes)
    command = f"nas arch export {{}} --format {export_format}{' --fold' if fold else ''} -o FOLDER"
    found = find_parcel(source, runs, wishes, command)
    talk(one_line(f"weights: {found.parcel.weights.told}"))
    agreement = export_parcel(found.parcel, output, export_format, options, found.real)
    if as_json:
        print_json(
            {
                "schema": "nas.arch_export/1",
                "title": found.parcel.title,
                "format": export_format,
                "output": str(output),
                "fold": fold,
                "batch": options.batch,
                "weights": {
                    "origin": found.parcel.weights.origin,
                    "told": found.parcel.weights.told,
                    "sha256": found.parcel.weights.sha256,
                },
                "check": agreement.to_dict(),
            }
        )
        return
    _tell(output, export_format, options, agreement)


def _tell(output: Path, name: str, options: FormatOptions, agreement: Agreement) -> None:
    folded = ", batch norms folded" if options.fold else ""
    print_text(f"wrote {output} ({name}{folded})")
    print_text(agreement.describe())
    if output.is_dir() and name in ("onnx", "json") and agreement.accuracy is not None:
        talk(f"next: nas predict {output} PICTURES; {output / 'README.md'} tells the rest")
    elif output.is_dir():
        talk(f"next: read {output / 'README.md'}")


def read_batch(text: str) -> int | None:
    """Read `dynamic` or a number of images.

    Raises:
        ConfigError: If it is neither.
    """
    from nas.errors import ConfigError

    if text == DYNAMIC:
        return None
    if re.fullmatch(r"[0-9]{1,9}", text) and 1 <= int(text) <= _LARGEST_BATCH:
        return int(text)
    raise ConfigError(
        f"'{text[:40]}' is no number of images: it is 1 to {_LARGEST_BATCH:,}, or {DYNAMIC}.",
        where="--batch",
        fix="Leave it out: then any number of images fits.",
    )
