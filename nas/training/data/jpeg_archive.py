"""Archives of JPEG files: `*_train_jpeg.npz` and `*_test_jpeg.npz` in one folder, for `convert`.

Each archive holds `jpeg` (all files joined, uint8), `offset` (image `i` is
`jpeg[offset[i]:offset[i + 1]]`) and `label`. The images stand in the order of their classes and
are shuffled here, so that a reader who takes the first thousand gets all classes.
"""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.errors import DataError, NotFoundError
from nas.seeds import derive_seed
from nas.training.data.cifar_binary import CIFAR10_CLASSES
from nas.training.data.decoded_cache import Progress
from nas.training.data.decoder import decode_image
from nas.training.data.image_data import RawImages
from nas.training.data.npz import JPEG_ARRAYS, array_names, read_array
from nas.training.splits import stratified_subset

_PROGRESS_EVERY = 256
_PARTS = ("train", "test")
_FIXED_SEED = 0

Pixels = npt.NDArray[Any]


def is_jpeg_folder(folder: Path) -> bool:
    """Whether the folder holds a `*_train_jpeg.npz` archive."""
    return any(folder.glob("*_train_jpeg.npz"))


def load_jpeg_folder(
    folder: Path,
    *,
    limit: int | None = None,
    image_size: int | None = None,
    progress: Progress | None = None,
) -> RawImages:
    """Decode the two archives of a folder.

    Args:
        folder: Holds `<name>_train_jpeg.npz` and `<name>_test_jpeg.npz`.
        limit: At most this many images per part, each class keeping its share; chosen before
            anything is decoded.
        image_size: Side in pixels to scale to, or None.
        progress: Called with (images decoded, images in all).

    Raises:
        NotFoundError: If one of the archives is missing.
        DataError: If an archive is damaged, or images differ in size and no `image_size` is given.
    """
    name = min(folder.glob("*_train_jpeg.npz")).name.removesuffix("_train_jpeg.npz")
    parts: list[Pixels] = []
    for index, part in enumerate(_PARTS):
        path = folder / f"{name}_{part}_jpeg.npz"
        if not path.is_file():
            raise NotFoundError(
                f"The archive '{path.name}' is missing.",
                where=str(folder),
                fix="Put it beside the training archive.",
            )
        parts += _decode_archive(path, index, limit, image_size, progress)
    classes = CIFAR10_CLASSES if name == "cifar10" else None
    return RawImages(*parts, classes=classes, layout="NCHW")


def _decode_archive(
    path: Path, index: int, limit: int | None, image_size: int | None, progress: Progress | None
) -> tuple[Pixels, Pixels]:
    files, labels = _files_and_labels(path)
    rows = np.arange(len(files))
    if limit is not None:
        rows = stratified_subset(labels, limit, derive_seed(_FIXED_SEED, "convert-limit", index))
    shuffle = np.random.default_rng(derive_seed(_FIXED_SEED, "convert-shuffle", index))
    rows = shuffle.permutation(rows)
    images: list[Pixels] = []
    for done, row in enumerate(rows, start=1):
        where = f"{path}, image {row}"
        images.append(decode_image(BytesIO(files[row]), "RGB", image_size, where=where))
        if images[-1].shape != images[0].shape:
            raise DataError(
                f"The image has shape {images[-1].shape}, the first one {images[0].shape}.",
                where=where,
                fix="Give one size, for instance --image-size 32.",
            )
        if progress is not None and (done % _PROGRESS_EVERY == 0 or done == len(rows)):
            progress(done, len(rows))
    return np.stack(images), labels[rows]


def _files_and_labels(path: Path) -> tuple[list[bytes], npt.NDArray[np.int64]]:
    missing = [name for name in JPEG_ARRAYS if name not in array_names(path)]
    if missing:
        raise DataError(
            f"Missing arrays: {', '.join(missing)}; expected are {', '.join(JPEG_ARRAYS)}.",
            where=str(path),
            fix="Make or copy the archive again.",
        )
    joined, offsets, labels = (read_array(path, name) for name in JPEG_ARRAYS)
    bounds = offsets.astype(np.int64)
    ordered = len(bounds) > 1 and bounds[0] >= 0 and bool((np.diff(bounds) > 0).all())
    if not ordered or int(bounds[-1]) > joined.size or len(labels) != len(bounds) - 1:
        raise DataError(
            f"The offsets do not fit: {len(bounds)} offsets for {len(labels)} labels and "
            f"{joined.size} bytes.",
            where=str(path),
            why="Offsets rise from 0 to the number of bytes, one more than there are labels.",
            fix="Make or copy the archive again.",
        )
    whole = joined.tobytes()
    files = [whole[start:end] for start, end in pairwise(bounds)]
    return files, labels.astype(np.int64)
