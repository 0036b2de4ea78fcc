"""`about.json`: what every exported network tells of itself, schema `nas.network/1`.

It names each file with its SHA-256, so that a folder with mixed or damaged files is found out
before it answers anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from nas.config_files import parse_json
from nas.errors import ConfigError, DataError, NotFoundError
from nas.export.checking import Agreement
from nas.export.formats import FormatOptions, Written
from nas.export.parcel import Parcel

ABOUT: Final = "about.json"
SCHEMA: Final = "nas.network/1"
MOST_BYTES: Final = 64_000_000


def about_document(
    parcel: Parcel,
    name: str,
    options: FormatOptions,
    written: Written,
    agreement: Agreement,
    folder: Path,
) -> dict[str, Any]:
    """Return the document of an exported network.

    Args:
        parcel: What was exported.
        name: Of the format.
        options: How it was written.
        written: What was written.
        agreement: What the check on real images found.
        folder: Where the files lie.
    """
    files = sorted(file for file in folder.iterdir() if file.is_file())
    return {
        "schema": SCHEMA,
        "title": parcel.title,
        "format": name,
        "main": written.main,
        "made_by": f"nas {_version()}",
        "input": {"shape": list(parcel.network.input_shape), "batch": options.batch},
        "num_classes": parcel.num_classes,
        "preprocessing": parcel.preprocessing.to_dict() if parcel.preprocessing else None,
        "folded": options.fold,
        "architecture_id": parcel.identity,
        "weights": {
            "origin": parcel.weights.origin,
            "told": parcel.weights.told,
            "sha256": parcel.weights.sha256,
        },
        "check": agreement.to_dict(),
        "details": written.details,
        "facts": parcel.facts.to_dict(),
        "files": {file.name: _sha256(file.read_bytes()) for file in files},
    }


def _version() -> str:
    """Return the installed version: the package itself is above this one and not imported here."""
    try:
        return version("nas")
    except PackageNotFoundError:  # a checkout on the path
        return "unknown"


def about_bytes(document: Mapping[str, Any]) -> bytes:
    """Return the document as its file holds it."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def read_about(folder: Path) -> dict[str, Any]:
    """Return the document of an exported network.

    Raises:
        NotFoundError: If the folder holds none.
        DataError: If it cannot be read or is of another schema.
    """
    path = folder / ABOUT
    if not path.is_file():
        raise NotFoundError(
            f"The folder '{folder}' holds no exported network: there is no {ABOUT} in it.",
            fix="Name a trial (RUN:TRIAL), or make a folder: nas arch export RUN:TRIAL -o FOLDER",
        )
    if path.stat().st_size > MOST_BYTES:
        raise _unreadable(path, "it is larger than such a file can be")
    try:
        document = parse_json(path.read_bytes().decode("utf-8"), name=str(path)).data
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise _unreadable(path, str(error).splitlines()[0]) from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise _unreadable(path, f"its schema is {str(schema)[:80]!r}, not '{SCHEMA}'")
    return dict(document)


def read_file(folder: Path, name: str, about: Mapping[str, Any]) -> bytes:
    """Return a file of an exported network, checked against `about.json`.

    Raises:
        DataError: If it is missing or not the one that was exported.
    """
    path = folder / name
    files = about.get("files")
    expected = files.get(name) if isinstance(files, dict) else None
    try:
        # Neither a pipe that never ends nor a device: a folder may come from a stranger.
        data = path.read_bytes() if path.is_file() else None
        told = "it is missing or no regular file"
    except OSError as error:
        data, told = None, error.strerror or str(error)
    if data is None:
        raise DataError(
            f"The file '{name}' of the exported network cannot be read: {told}.",
            where=str(folder),
            fix="Export the network again.",
        )
    if _sha256(data) != expected:
        raise DataError(
            f"The file '{name}' is not the one that was exported: its SHA-256 is another.",
            where=str(folder),
            why="Changed weights compute plausible but wrong results.",
            fix="Export the network again.",
        )
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path.name} cannot be read: {why}.", where=str(path), fix="Export the network again."
    )
