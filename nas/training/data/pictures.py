"""Picture files for a trained network: found, read one by one, and brought into its shape.

A file that cannot be read is told and left out; the others are answered all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from PIL import Image

from nas.errors import DataError, NotFoundError
from nas.training.data.decoder import IMAGE_ENDINGS, decode_image, read_header, scale_and_cut
from nas.training.data.image_data import Images
from nas.training.data.preprocessing import FILE_WHITE, Preprocessing


@final
@dataclass(frozen=True)
class Pictures:
    """Files to be classified.

    Args:
        root: The folder they lie in, or the folder of the one file.
        files: The pictures, sorted.
        overlooked: Files in the folder whose ending is that of no picture.
    """

    root: Path
    files: tuple[Path, ...]
    overlooked: int = 0


@final
@dataclass(frozen=True, eq=False)
class Picture:
    """One picture as the data would store it.

    Args:
        file: Where it is.
        pixels: `(channels, height, width)` float32, in the units of the data.
        changed: What was done to it to fit, in words; empty for nothing.
    """

    file: Path
    pixels: Images
    changed: str


def find_pictures(path: Path) -> Pictures:
    """Return the pictures of a folder and of the folders in it, or the one file.

    Raises:
        NotFoundError: If there is nothing at `path`, or no picture in it.
    """
    if path.is_file():
        return Pictures(path.parent, (path,))
    if not path.is_dir():
        raise NotFoundError(
            f"There is no file and no folder '{path}'.", fix="Name a picture, or a folder of them."
        )
    files = sorted(file for file in path.rglob("*") if file.is_file() and not _hidden(file, path))
    found = tuple(file for file in files if file.suffix.lower() in IMAGE_ENDINGS)
    if not found:
        raise NotFoundError(
            f"The folder '{path}' holds no picture ({len(files)} other files).",
            fix=f"Pictures end in {', '.join(sorted(IMAGE_ENDINGS))}.",
        )
    return Pictures(path, found, len(files) - len(found))


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def check_takes_pictures(preprocessing: Preprocessing) -> None:
    """Refuse a network whose data no picture file can be turned into.

    Raises:
        DataError: Then.
    """
    channels = preprocessing.input_shape[0]
    if preprocessing.white is None or channels not in (1, 3):
        what = (
            f"{channels} channels"
            if preprocessing.white is not None
            else "pixels in a range of their own (below 0, or above 255)"
        )
        raise DataError(
            f"The network was trained on images with {what}; picture files have none such.",
            why="A picture brought into another range would be answered, but wrongly.",
            fix="Call the exported network from Python on arrays that are prepared as its data "
            "were.",
        )


def read_pictures(
    files: tuple[Path, ...], expected: Preprocessing
) -> Iterator[Picture | DataError]:
    """Yield every file as a network expects it, or why it cannot be read."""
    for file in files:
        try:
            yield read_picture(file, expected)
        except DataError as error:
            yield error


def read_picture(file: Path, expected: Preprocessing) -> Picture:
    """Return one file as the data would store it.

    Raises:
        DataError: If it does not decode, or has more than 8 bits per channel.
    """
    channels, height, width = expected.input_shape
    mode, size = read_header(file)
    array = decode_image(file, "L" if channels == 1 else "RGB", None, where=str(file))
    changed = []
    if channels == 1 and mode not in ("1", "L", "LA"):
        changed.append("colours turned grey")
    if size != (width, height):
        picture = Image.fromarray(array[0] if channels == 1 else array.transpose(1, 2, 0))
        array = _as_channels(scale_and_cut(picture, height, width))
        changed.append(f"resized from {size[0]} x {size[1]} to {width} x {height}")
    assert expected.white is not None, "check_takes_pictures was not asked"
    pixels = array.astype(np.float32) * np.float32(expected.white / FILE_WHITE)
    return Picture(file, pixels, ", ".join(changed))


def _as_channels(picture: Image.Image) -> Images:
    array = np.asarray(picture, dtype=np.uint8)
    return array[np.newaxis] if array.ndim == 2 else array.transpose(2, 0, 1)


def as_picture(pixels: Images, white: float) -> Image.Image:
    """Return stored pixels `(channels, height, width)` as a picture for a file."""
    scaled = np.clip(np.rint(pixels.astype(np.float64) * (FILE_WHITE / white)), 0, FILE_WHITE)
    array = scaled.astype(np.uint8)
    return Image.fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0))
