"""Image files to arrays of one size: colour mode, scaling, and errors that name the file."""

from __future__ import annotations

import hashlib
import struct
import warnings
from collections.abc import Iterator
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import final

import numpy as np
from PIL import Image

from nas.errors import DataError
from nas.training.data.image_data import Images

IMAGE_ENDINGS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
_GREY_MODES = frozenset({"1", "L"})
# Pillow clips these to 8 bits instead of scaling them: the images would turn white.
_DEEP_MODES = frozenset({"F", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_PILLOW_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@final
class FileDecoder:
    """A list of image files that decode to `(channels, height, width)` uint8 arrays.

    Args:
        files: Image files, in the order of the result.
        root: Folder they lie under; the key depends on the paths below it.
        image_size: Side of the square result in pixels, or None to keep the common size.
    """

    def __init__(self, files: list[Path], root: Path, image_size: int | None) -> None:
        self.files = files
        self.root = root
        self.image_size = image_size

    @cached_property
    def key(self) -> str:
        """SHA-256 over names, sizes and times of the files and the image size."""
        whole = hashlib.sha256(f"nas.decoded/1|{self.root.resolve()}|{self.image_size}".encode())
        for file in self.files:
            status = file.stat()
            name = file.relative_to(self.root)
            whole.update(f"|{name}|{status.st_size}|{status.st_mtime_ns}".encode())
        return whole.hexdigest()

    @cached_property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width: grey where every file is grey, else RGB.

        Raises:
            DataError: If a file is no image, has more than 8 bits per channel, or differs in size
                from the first one while no `image_size` is given.
        """
        channels, first = 1, None
        for file in self.files:
            mode, size = read_header(file)
            channels = channels if mode in _GREY_MODES else 3
            first = first or size
            if self.image_size is None and size != first:
                raise DataError(
                    f"The image is {size[0]} x {size[1]} pixels, the first one "
                    f"{first[0]} x {first[1]}.",
                    where=str(file),
                    why="All images of a data set have one size.",
                    fix="Give one, for instance --image-size 32.",
                )
        width, height = first if first and self.image_size is None else (self.image_size or 0,) * 2
        return channels, height, width

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Images]:
        mode = "L" if self.image_shape[0] == 1 else "RGB"
        for file in self.files:
            yield decode_image(file, mode, self.image_size, where=str(file))


def decode_image(
    source: Path | BytesIO, mode: str, image_size: int | None, *, where: str
) -> Images:
    """Return one image as `(channels, height, width)` uint8.

    Args:
        source: File or bytes of an image.
        mode: `L` for one channel, `RGB` for three.
        image_size: Side in pixels to scale and cut to, or None.
        where: Named in the error.

    Raises:
        DataError: If it does not decode.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source) as image:
                pixels: Image.Image = image.convert(mode)
    except _PILLOW_FAULTS as error:
        raise _undecodable(where, error) from error
    if image_size is not None:
        pixels = scale_and_cut(pixels, image_size, image_size)
    array = np.asarray(pixels, dtype=np.uint8)
    return array[np.newaxis] if mode == "L" else array.transpose(2, 0, 1)


def read_header(file: Path) -> tuple[str, tuple[int, int]]:
    """Return mode and size (width, height) of an image file.

    Raises:
        DataError: If it is no image, or has more than 8 bits per channel.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                mode, size = image.mode, image.size
    except _PILLOW_FAULTS as error:
        raise _undecodable(str(file), error) from error
    if mode in _DEEP_MODES:
        raise DataError(
            f"The image has mode {mode}, more than 8 bits per channel.",
            where=str(file),
            fix="Convert it to 8 bits, or give the data as an .npz of floats.",
        )
    return mode, size


def _undecodable(where: str, error: Exception) -> DataError:
    return DataError(
        f"The image does not decode: {error or type(error).__name__}.",
        where=where,
        fix="Replace or remove the file.",
    )


def scale_and_cut(image: Image.Image, height: int, width: int) -> Image.Image:
    """Return an image scaled until it covers `height` x `width` pixels, and its middle cut out."""
    if image.size == (width, height):
        return image
    scale = max(height / image.height, width / image.width)
    wide, high = max(width, round(image.width * scale)), max(height, round(image.height * scale))
    scaled = image.resize((wide, high), Image.Resampling.BILINEAR)
    left, top = (wide - width) // 2, (high - height) // 2
    return scaled.crop((left, top, left + width, top + height))
