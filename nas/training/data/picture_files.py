"""`nas data images`: images of a data set as PNG files, to look at and to run networks on."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final, Literal

import numpy as np

from nas.errors import ConfigError, DataError, EnvironmentFault
from nas.seeds import derive_seed
from nas.training.data.image_data import ImageData
from nas.training.data.pictures import as_picture
from nas.training.data.preprocessing import white_of
from nas.training.splits import stratified_subset

Part = Literal["train", "test"]
_FIXED_SEED: Final = 0


def write_pictures(data: ImageData, output: Path, part: Part, limit: int | None) -> int:
    """Write images as `CLASS/NUMBER.png`, where NUMBER is that of the image in its part.

    Args:
        data: The data set.
        output: Folder to make.
        part: Which images.
        limit: At most so many, each class with its share; the same ones every time.

    Returns:
        How many were written.

    Raises:
        ConfigError: If the folder exists, or the limit is below the number of classes.
        DataError: If the pixels lie in no range that a file has, or a class name is no file name.
        EnvironmentFault: If they cannot be written; nothing is left behind then.
    """
    white = _checked(data, output)
    images, labels = (data.x_test, data.y_test) if part == "test" else (data.x_train, data.y_train)
    rows = np.arange(len(labels))
    if limit is not None and limit < len(rows):
        rows = stratified_subset(labels, limit, derive_seed(_FIXED_SEED, "pictures", 0))
    aside = None
    try:
        aside = Path(tempfile.mkdtemp(prefix=".tmp-images-", dir=output.absolute().parent))
        folder = aside / "images"
        for name in data.classes:
            (folder / name).mkdir(parents=True)
        for row in rows:
            file = folder / data.classes[int(labels[row])] / f"{int(row):06d}.png"
            as_picture(images[row], white).save(file)
        folder.rename(output)
    except OSError as error:
        raise EnvironmentFault(
            f"The images cannot be written: {error.strerror or error}.",
            where=str(output),
            fix="Choose a folder that exists, is writable and has room.",
        ) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
    return len(rows)


def _checked(data: ImageData, output: Path) -> float:
    """Return the value of a white pixel, after everything that can be refused was looked at."""
    if os.path.lexists(output):
        raise ConfigError(
            f"'{output}' exists already; it is not overwritten.",
            fix="Name another folder, or remove this one first.",
        )
    white = white_of(data.x_train)
    if white is None or data.input_shape[0] not in (1, 3):
        raise DataError(
            "These images cannot be written as pictures: their pixels are in a range of their own, "
            "or have neither 1 nor 3 channels.",
            where=data.name,
            fix="Files hold pixels from 0 to 255, grey or red, green and blue.",
        )
    for name in data.classes:
        if name in ("", ".", "..") or any(letter in name for letter in "/\\\0") or len(name) > 200:
            raise DataError(
                f"The class '{name[:80]}' is no name of a folder.",
                where=data.name,
                fix="Rename it in the data set.",
            )
    return white
