"""Source `FOLDER` of the MNIST kind: four IDX files, plain or gzipped.

The format is a header of big-endian numbers (magic, then the sizes) followed by bytes; see
LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nas.errors import DataError, NotFoundError
from nas.training.data.image_data import RawImages

_UNSIGNED_BYTE = 0x08
_CHUNK_BYTES = 2**24


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


_PARTS = (("train-images", 3), ("train-labels", 1), ("t10k-images", 3), ("t10k-labels", 1))


def is_idx_folder(folder: Path) -> bool:
    """Whether the folder holds at least one of the four IDX files."""
    return any(_find(folder, stem, axes) is not None for stem, axes in _PARTS)


def load_idx(folder: Path) -> RawImages:
    """Read `train-images-idx3-ubyte` and its three siblings (`.gz` allowed).

    Raises:
        NotFoundError: If one of the four files is missing.
        DataError: If a file has another magic number, is cut short or is too long.
    """
    arrays = []
    for stem, axes in _PARTS:
        path = _find(folder, stem, axes)
        if path is None:
            raise NotFoundError(
                f"The file '{stem}-idx{axes}-ubyte' (or .gz) is missing.",
                where=str(folder),
                why="An MNIST-type folder holds four files: "
                + ", ".join(f"{name}-idx{number}-ubyte" for name, number in _PARTS)
                + ".",
                fix="Put the missing file beside the others.",
            )
        arrays.append(read_idx(path, axes))
    return RawImages(*arrays, layout="NHW")


def _find(folder: Path, stem: str, axes: int) -> Path | None:
    for joint in ("-", "."):
        for ending in ("", ".gz"):
            path = folder / f"{stem}{joint}idx{axes}-ubyte{ending}"
            if path.is_file():
                return path
    return None


def read_idx(path: Path, axes: int) -> npt.NDArray[Any]:
    """Return the bytes of one IDX file as an array with this number of axes.

    Raises:
        DataError: If the header or the length is wrong, or the gzip stream is damaged.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            return _parse(stream, path, axes)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"The gzip file is damaged or cut short: {error}.",
            where=str(path),
            fix="Copy the file again.",
        ) from error


def _parse(stream: _Readable, path: Path, axes: int) -> npt.NDArray[Any]:
    header = stream.read(4 + 4 * axes)
    expected = (_UNSIGNED_BYTE << 8) | axes
    magic = struct.unpack(">I", header[:4])[0] if len(header) >= 4 else None
    if magic != expected:
        found = "none" if magic is None else f"0x{magic:08x}"
        raise DataError(
            f"Wrong magic number: expected 0x{expected:08x}, found {found}.",
            where=str(path),
            why=f"An IDX file of unsigned bytes with {axes} axes begins with this number.",
            fix="Check that the file is what its name says and, if gzipped, ends in .gz.",
        )
    if len(header) < 4 + 4 * axes:
        raise DataError("The file ends inside its header.", where=str(path), fix="Copy it again.")
    shape = struct.unpack(f">{axes}I", header[4:])
    # Python integers: the product of three sizes from a hostile header must not wrap.
    size = math.prod(shape)
    body = _read_at_most(stream, size + 1)
    if len(body) != size:
        found = f"more than {size}" if len(body) > size else str(len(body))
        raise DataError(
            f"The header announces {size} bytes for shape {shape}, but the file holds {found}.",
            where=str(path),
            fix="The file is cut short or damaged; copy it again.",
        )
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def _read_at_most(stream: _Readable, size: int) -> bytearray:
    """Read up to `size` bytes in steps: memory grows with the file, not with its header."""
    body = bytearray()
    while len(body) < size:
        chunk = stream.read(min(_CHUNK_BYTES, size - len(body)))
        if not chunk:
            break
        body += chunk
    return body
