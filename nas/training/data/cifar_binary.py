"""Source `FOLDER` of the CIFAR kind: the binary versions of CIFAR-10 and CIFAR-100.

A record is one label byte (CIFAR-100: a coarse and a fine one) and 3,072 pixel bytes, red plane
first (Krizhevsky 2009, "Learning multiple layers of features from tiny images").
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.errors import DataError, NotFoundError
from nas.training.data.image_data import RawImages

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_PIXELS = 3 * 32 * 32


def is_cifar_folder(folder: Path) -> bool:
    """Whether the folder holds CIFAR-10 batches or the CIFAR-100 files."""
    ten = any(folder.glob("data_batch_*.bin")) or (folder / "test_batch.bin").is_file()
    return ten or (folder / "train.bin").is_file()


def load_cifar(folder: Path) -> RawImages:
    """Read `data_batch_*.bin` and `test_batch.bin`, or `train.bin` and `test.bin` (CIFAR-100).

    CIFAR-100 is read with its 100 fine labels.

    Raises:
        NotFoundError: If a training or test file is missing.
        DataError: If a file is empty, is no whole number of records, or holds a label that is
            out of range.
    """
    hundred = (folder / "train.bin").is_file()
    if hundred:
        train_files, test_file = [folder / "train.bin"], folder / "test.bin"
    else:
        train_files = sorted(folder.glob("data_batch_*.bin"))
        test_file = folder / "test_batch.bin"
    if not train_files or not test_file.is_file():
        missing = test_file.name if train_files else "data_batch_1.bin"
        raise NotFoundError(
            f"The file '{missing}' is missing.",
            where=str(folder),
            fix="A CIFAR-10 folder holds data_batch_*.bin and test_batch.bin, a CIFAR-100 folder "
            "train.bin and test.bin.",
        )
    label_bytes, num_classes = (2, 100) if hundred else (1, 10)
    parts = [_read(path, label_bytes, num_classes) for path in [*train_files, test_file]]
    names = _fine_names(folder, num_classes) if hundred else CIFAR10_CLASSES
    return RawImages(
        np.concatenate([images for images, _ in parts[:-1]]),
        np.concatenate([labels for _, labels in parts[:-1]]),
        *parts[-1],
        classes=names,
        layout="NCHW",
    )


def _read(
    path: Path, label_bytes: int, num_classes: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    record = label_bytes + _PIXELS
    size = path.stat().st_size
    if size == 0 or size % record:
        raise DataError(
            f"The file holds {size} bytes, not a whole number of records of {record} bytes.",
            where=str(path),
            fix="The file is cut short or is not the binary version; copy it again.",
        )
    rows = np.fromfile(path, dtype=np.uint8).reshape(-1, record)
    labels = rows[:, label_bytes - 1]
    if int(labels.max()) >= num_classes:
        index = int(np.argmax(labels >= num_classes))
        raise DataError(
            f"Label {int(labels[index])} at index {index} is out of range, classes "
            f"0..{num_classes - 1}.",
            where=str(path),
            fix="The file is damaged or of another kind; copy it again.",
        )
    return rows[:, label_bytes:].reshape(-1, 3, 32, 32), labels


def _fine_names(folder: Path, num_classes: int) -> tuple[str, ...]:
    listing = folder / "fine_label_names.txt"
    if listing.is_file():
        names = tuple(listing.read_text(encoding="utf-8", errors="replace").split())
        if len(names) == num_classes:
            return names
    return tuple(str(label) for label in range(num_classes))
