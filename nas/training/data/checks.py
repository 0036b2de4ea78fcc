"""What a data set must be before anything trains on it; each refusal names the place and the cure.

The checks run once, when the data are loaded, so that a search never fails an hour later with a
shape error or, worse, quietly learns from labels that are off by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nas.errors import DataError
from nas.training.data.image_data import Images, Labels

_BLOCK = 4096


def checked_images(images: Any, *, where: str) -> Images:
    """Return the images as uint8 or float32.

    Raises:
        DataError: If they are no array of numbers, are empty, hold NaN or infinities, or are
            integers outside 0..255.
    """
    if not isinstance(images, np.ndarray) or images.dtype.kind not in "uif":
        kind = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
        raise DataError(
            f"Images of type {kind} are not supported: pixels are uint8 or floats.",
            where=where,
            fix="Store them as a NumPy array of uint8 (0..255) or float32.",
        )
    if images.size == 0:
        raise DataError(
            f"Images of shape {images.shape} are empty.",
            where=where,
            fix="Each axis (images, channels, height, width) needs at least 1 entry.",
        )
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind == "f":
        return _checked_floats(images, where=where)
    smallest, largest = int(images.min()), int(images.max())
    if smallest < 0 or largest > 255:
        raise DataError(
            f"Integer pixels go from {smallest} to {largest}; they must lie in 0..255.",
            where=where,
            fix="Rescale them to uint8, or store them as float32.",
        )
    return images.astype(np.uint8)


def _checked_floats(images: Images, *, where: str) -> Images:
    # In float32: a float64 pixel that overflows there is refused too.
    with np.errstate(over="ignore"):
        narrow = images.astype(np.float32, copy=False)
    for start in range(0, len(narrow), _BLOCK):
        finite = np.isfinite(narrow[start : start + _BLOCK])
        if not finite.all():
            at = tuple(int(axis) for axis in np.argwhere(~finite)[0])
            index = (at[0] + start, *at[1:])
            bad = int((~np.isfinite(narrow)).reshape(len(narrow), -1).any(axis=1).sum())
            raise DataError(
                f"The pixel at index {index} is {narrow[index]}: pixels must be finite "
                f"({bad} of {len(narrow)} images are affected).",
                where=where,
                fix="Remove these images or fill the holes before the search.",
            )
    return narrow


def checked_labels(labels: Any, count: int, *, where: str) -> Labels:
    """Return the labels as int64 `(count,)`; a trailing axis of size 1 is dropped.

    Raises:
        DataError: If they are not whole numbers, negative, or not one per image.
    """
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        kind = labels.dtype if isinstance(labels, np.ndarray) else type(labels).__name__
        raise DataError(
            f"Labels of type {kind} are not class numbers: labels are integers from 0.",
            where=where,
            fix="Number the classes 0, 1, 2, ... and store them as int64.",
        )
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.ndim != 1:
        raise DataError(
            f"Labels of shape {labels.shape} are not one number per image.",
            where=where,
            fix="One-hot labels become class numbers with labels.argmax(axis=1).",
        )
    if len(flat) != count:
        raise DataError(
            f"There are {count} images but {len(flat)} labels.",
            where=where,
            fix="Each image needs exactly one label, in the same order.",
        )
    flat = flat.astype(np.int64)
    if flat.size and int(flat.min()) < 0:
        index = int(np.argmax(flat < 0))
        raise DataError(
            f"Label {int(flat[index])} at index {index} is negative: classes start at 0.",
            where=where,
            fix="Number the classes 0, 1, 2, ...",
        )
    return flat


def count_classes(train: Labels, names: tuple[str, ...] | None, *, where: str) -> int:
    """Return the number of classes and make sure that every one has a training image.

    Raises:
        DataError: If there is one class only, a label outside the names, or a class without
            a training image.
    """
    num_classes = len(names) if names is not None else int(train.max()) + 1
    refuse_labels_out_of_range(train, num_classes, where=f"{where}, y_train")
    # Before counting: a stray label of 10**12 must not allocate a table of that size.
    present = np.unique(train)
    if len(present) < 2:
        raise DataError(
            f"All {len(train)} training images are of one class, {int(present[0])}: there is "
            "nothing to tell apart.",
            where=where,
            fix="Give images of at least 2 classes.",
        )
    if len(present) < num_classes:
        expected = np.arange(len(present))
        gap = np.flatnonzero(present != expected)
        missing = int(expected[gap[0]]) if gap.size else len(present)
        raise DataError(
            f"Class {missing} has no training image (classes 0..{num_classes - 1}, "
            f"{len(present)} present).",
            where=where,
            fix="Number the classes without gaps, from 0, or add images of this class.",
        )
    return num_classes


def refuse_labels_out_of_range(labels: Labels, num_classes: int, *, where: str) -> None:
    """Raise DataError for the first label that is not in 0..num_classes-1."""
    outside = labels >= num_classes
    if outside.any():
        index = int(np.argmax(outside))
        raise DataError(
            f"Label {int(labels[index])} at index {index} is out of range, classes "
            f"0..{num_classes - 1}.",
            where=where,
            fix="Correct the label, or add training images of that class.",
        )


def refuse_different_shapes(train: Images, test: Images, *, where: str) -> None:
    """Raise DataError where training and test images differ in channels, size or pixel type."""
    if train.shape[1] != test.shape[1]:
        raise DataError(
            f"Training images have {train.shape[1]} channels, test images {test.shape[1]}.",
            where=where,
            fix="Convert both parts to the same colour mode.",
        )
    if train.shape[2:] != test.shape[2:]:
        raise DataError(
            f"Training images are {train.shape[2]} x {train.shape[3]} pixels, test images "
            f"{test.shape[2]} x {test.shape[3]}.",
            where=where,
            fix="Resize both parts to the same size.",
        )
    if train.dtype != test.dtype:
        raise DataError(
            f"Training images are {train.dtype}, test images {test.dtype}.",
            where=where,
            fix="Store both parts with the same pixel type and range.",
        )
