"""Export a parcel: write it aside, load it back, compare it with torch, tell of it, then name it.

What a user asked for exists whole and checked, or not at all. A format never sees the name under
which its files will lie.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from nas.errors import ConfigError, EnvironmentFault
from nas.export.about import ABOUT, about_bytes, about_document
from nas.export.card import CARD, model_card
from nas.export.checking import Agreement, compare
from nas.export.formats import FORMATS, FormatOptions
from nas.export.parcel import Parcel, RealImages
from nas.export.shipping import torch_logits

ZIP: Final = ".zip"
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""Every entry of an archive carries it, so that equal networks give equal archives."""


def check_output(output: Path, name: str, options: FormatOptions) -> None:
    """Refuse what cannot be done, before any work.

    Args:
        output: A folder to make, an archive (`.zip`), or one file with the format's ending.
        name: Of the format.
        options: What the user chose.

    Raises:
        NotFoundError: If there is no such format, or no folder to write into.
        ConfigError: If the output exists, its ending is that of another format, or the format
            takes no such option.
        EnvironmentFault: If a package is missing.
    """
    chosen = FORMATS.get(name)
    if os.path.lexists(output):
        raise ConfigError(
            f"'{output}' exists already; it is not overwritten.",
            where="--output",
            fix="Name another one, or remove this one first.",
        )
    if not output.absolute().parent.is_dir():
        raise ConfigError(
            f"There is no folder '{output.parent}' to write into.",
            where="--output",
            fix="Make it first, or name another one.",
        )
    endings = {FORMATS.get(each).ending: each for each in FORMATS}
    other = endings.get(output.suffix)
    if other is not None and other != name:
        raise ConfigError(
            f"'{output.name}' ends as a file of the format '{other}' does, not one of '{name}'.",
            where="--output",
            fix=f"Write --format {other}, or name a folder.",
        )
    if other is not None and not chosen.alone:
        raise ConfigError(
            f"The format '{name}' is more than one file, so '{output.name}' cannot hold it.",
            where="--output",
            fix=f"Name a folder, for example -o {output.stem}, or {output.stem}{ZIP}.",
        )
    if (chosen.plain and options.fold) or (not chosen.traced and options.batch is not None):
        option = "--fold" if chosen.plain and options.fold else "--batch"
        raise ConfigError(
            f"The format '{name}' takes no {option}: "
            + ("it holds the network as it is." if option == "--fold" else "any number fits."),
            where=option,
            fix="Leave it out, or take another format.",
        )
    chosen().check()


def export_parcel(
    parcel: Parcel, output: Path, name: str, options: FormatOptions, real: RealImages
) -> Agreement:
    """Write a network in a format and return how near it is to torch.

    Args:
        parcel: The network.
        output: As `check_output` takes it: a folder gets every file with the model card, one file
            the network alone.
        name: Of the format.
        options: What the user chose.
        real: Images it is checked on.

    Raises:
        ArchitectureError: If the format cannot hold the network, or what was written differs from
            torch. Nothing is left behind then.
        EnvironmentFault: If it cannot be written.
    """
    if options.batch is None and not FORMATS.get(name).open_batch:
        options = replace(options, batch=1)
    reference = torch_logits(parcel.network, real.images)
    found: list[Agreement] = []

    def fill(folder: Path) -> str:
        written = FORMATS.get(name)().write(parcel, options, folder)
        agreement = compare(written.run, reference, real, name)
        card = model_card(parcel, name, options, written, agreement)
        (folder / CARD).write_text(card, encoding="utf-8")
        document = about_document(parcel, name, options, written, agreement, folder)
        (folder / ABOUT).write_bytes(about_bytes(document))
        found.append(agreement)
        return written.main

    alone = output.suffix == FORMATS.get(name).ending
    write_aside(output, fill, alone=alone)
    return found[0]


def write_aside(output: Path, fill: Callable[[Path], str], *, alone: bool = False) -> None:
    """Let `fill` write into a folder of no name, then give what it wrote its name.

    Args:
        output: Folder, archive or file that is not there yet.
        fill: Writes files and returns the name of the main one.
        alone: Whether the main file is wanted and nothing else.

    Raises:
        EnvironmentFault: If the disk is full or may not be written. Nothing is left behind.
    """
    aside = None
    try:
        # Beside the output: a rename works within one file system only.
        aside = Path(tempfile.mkdtemp(prefix=".tmp-export-", dir=output.absolute().parent))
        folder = aside / "network"
        folder.mkdir(mode=0o755)
        main = fill(folder)
        if output.suffix == ZIP:
            whole = aside / "network.zip"
            whole.write_bytes(_archive(folder))
        else:
            whole = folder / main if alone else folder
        _sync(whole)
        whole.rename(output)
    except OSError as error:
        if isinstance(error, EnvironmentFault):
            raise
        raise EnvironmentFault(
            f"The network cannot be written: {error.strerror or error}.",
            where=str(output),
            fix="Choose a folder that is writable and has room.",
        ) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    """Have everything on disk before it gets its name."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def _archive(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            entry = zipfile.ZipInfo(file.name, _ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    return buffer.getvalue()
