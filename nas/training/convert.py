"""`nas data convert`: one .npz of four arrays from any source, the form that loads fastest.

The same source, limit and size give the same bytes: every shuffle and every choice has a fixed
seed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.errors import ConfigError, DataError, EnvironmentFault
from nas.seeds import derive_seed
from nas.training.data.decoded_cache import Progress
from nas.training.data.image_data import ImageData
from nas.training.data.jpeg_archive import is_jpeg_folder, load_jpeg_folder
from nas.training.data.load import assemble, load_data, short_name
from nas.training.splits import stratified_subset

_FIXED_SEED = 0


def convert_data(
    source: str,
    output: Path,
    *,
    limit: int | None = None,
    image_size: int | None = None,
    progress: Progress | None = None,
) -> ImageData:
    """Write a data set as .npz and return it as loaded from there.

    Args:
        source: Anything `load_data` reads, or a folder of JPEG archives
            (`*_train_jpeg.npz` and `*_test_jpeg.npz`).
        output: File to write, ending in `.npz`; must not exist.
        limit: At most this many training and this many test images, each class keeping its share.
        image_size: Side of the square images in pixels.
        progress: Called with (images decoded, images in all).

    Raises:
        ConfigError: If `output` exists or does not end in `.npz`, or the limit is below 1.
        NotFoundError: If the source or the folder of the output does not exist.
        DataError: If the source breaks a rule.
        EnvironmentFault: If the file cannot be written.
    """
    _check_arguments(output, limit)
    folder = Path(source).expanduser()
    if folder.is_dir() and is_jpeg_folder(folder):
        raw = load_jpeg_folder(folder, limit=limit, image_size=image_size, progress=progress)
        data = assemble(raw, name=short_name(source), where=source)
    else:
        data = load_data(source, image_size=image_size, progress=progress)
    _write(output, _four_arrays(data, limit))
    return load_data(str(output))


def _check_arguments(output: Path, limit: int | None) -> None:
    if output.suffix != ".npz":
        raise ConfigError(
            f"The output '{output.name}' does not end in .npz.", fix="Name it, e.g., data.npz."
        )
    if output.exists():
        raise ConfigError(
            f"The output '{output}' exists already; it is not overwritten.",
            fix="Choose another name or remove the file.",
        )
    if limit is not None and limit < 1:
        raise ConfigError(
            f"A limit of {limit} images is not possible: at least 1.", fix="Leave --limit out."
        )


def _four_arrays(data: ImageData, limit: int | None) -> dict[str, npt.NDArray[Any]]:
    if data.is_mapped and limit is None:
        raise DataError(
            f"The {len(data.x_train)} images do not fit into memory, but an .npz is read whole.",
            fix="Use the folder itself as the data set (it is mapped), or give --limit.",
        )
    train, test = np.arange(len(data.y_train)), np.arange(len(data.y_test))
    if limit is not None:
        seeds = [derive_seed(_FIXED_SEED, "convert-limit", index) for index in (0, 1)]
        train = stratified_subset(data.y_train, limit, seeds[0])
        test = stratified_subset(data.y_test, limit, seeds[1])
    return {
        "x_train": data.x_train[train],
        "y_train": data.y_train[train],
        "x_test": data.x_test[test],
        "y_test": data.y_test[test],
        "classes": np.asarray(data.classes, dtype=np.str_),
        "layout": np.asarray("NCHW"),
    }


def _write(output: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write the archive aside and rename it: a broken-off conversion leaves no half file."""
    handle, name = -1, ""
    try:
        handle, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.stem}-")
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(output)
    except OSError as error:
        raise EnvironmentFault(
            f"The file cannot be written: {error.strerror or error}.",
            where=str(output),
            fix="Choose a folder that exists, is writable and has room.",
        ) from error
    finally:
        if name:
            Path(name).unlink(missing_ok=True)
