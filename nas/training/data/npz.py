"""Source `FILE.npz`: NumPy archives with x_train, y_train, x_test, y_test, or with image, label.

Archives are opened with `allow_pickle=False`: a data file is data and must not run code.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.errors import DataError
from nas.training.data.image_data import RawImages

FOUR_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
TWO_ARRAYS = ("image", "label")
JPEG_ARRAYS = ("jpeg", "offset", "label")


def load_npz(path: Path) -> RawImages:
    """Read an archive of four arrays, or of two where the test part is still to be split off.

    Optional text arrays: `classes` (class names) and `layout` (`NHW`, `NHWC` or `NCHW`).

    Raises:
        DataError: If the file is no archive, is damaged, holds Python objects or lacks arrays.
    """
    names = array_names(path)
    wanted = TWO_ARRAYS if set(TWO_ARRAYS) <= set(names) else FOUR_ARRAYS
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(
            f"Missing arrays: {', '.join(missing)}; found: {', '.join(names) or 'none'}.",
            where=str(path),
            why=f"Expected are {', '.join(FOUR_ARRAYS)}, or image and label.",
            fix=_missing_fix(path, names),
        )
    arrays = [read_array(path, name) for name in wanted]
    classes = read_array(path, "classes") if "classes" in names else None
    layout = str(read_array(path, "layout")) if "layout" in names else None
    names_of_classes = _class_names(classes, path)
    return RawImages(*arrays, classes=names_of_classes, layout=layout)


def _missing_fix(path: Path, names: list[str]) -> str:
    if set(JPEG_ARRAYS) <= set(names):
        return f"Decode the JPEG images first: nas data convert {path.parent} OUT.npz"
    return "Store them with numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...)."


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays in an archive.

    Raises:
        DataError: If the file is no npz archive.
    """
    # Damaged headers make zipfile raise much more than BadZipFile: any failure means the same.
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except Exception as error:
        raise DataError(
            f"The file is no npz archive, or it is cut short: {error}.",
            where=str(path),
            fix="Store it with numpy.savez, or copy it again.",
        ) from error


def read_array(path: Path, name: str) -> npt.NDArray[Any]:
    """Return one array of an archive.

    Raises:
        DataError: If the array holds Python objects or is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive[name])
    # A damaged header makes NumPy and zipfile raise nearly anything, MemoryError included.
    except Exception as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"The array '{name}' holds Python objects, which are never loaded.",
                where=str(path),
                why="Loading them would run code from the file.",
                fix="Store it as an array of numbers (for text: dtype str).",
            ) from error
        raise DataError(
            f"The array '{name}' is damaged: {error}.",
            where=str(path),
            fix="Make or copy the file again.",
        ) from error


def _class_names(classes: npt.NDArray[Any] | None, path: Path) -> tuple[str, ...] | None:
    if classes is None:
        return None
    if classes.ndim != 1 or classes.dtype.kind != "U":
        raise DataError(
            f"The array 'classes' is {classes.dtype} of shape {classes.shape}; it must be a list "
            "of names.",
            where=str(path),
            fix="Store classes=numpy.array(['cat', 'dog', ...]).",
        )
    return tuple(str(name) for name in classes)
