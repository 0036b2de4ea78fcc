"""Parts of a data set as training reads them: rows, labels and one common normalisation.

Means and deviations come from the training images alone, and every part uses the same ones: test
images must not shape the network's input, and an inherited network must see what it was trained on.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt

from nas.errors import DataError
from nas.seeds import derive_seed
from nas.training.data.image_data import ImageData, Images, Labels
from nas.training.splits import Indices, SplitFractions, split_training, stratified_subset

_log = logging.getLogger("nas")
_BLOCK = 4096
_SMALLEST_DEVIATION = 1e-6


@final
@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation per channel, in the units of the stored pixels."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def channel_statistics(images: Images) -> Normalisation:
    """Return mean and deviation per channel of NCHW images, read in blocks, summed in float64.

    A constant channel gets deviation 1: it then normalises to 0 instead of dividing by 0.
    """
    channels = images.shape[1]
    total, squares = np.zeros(channels), np.zeros(channels)
    # Shifted by one image's mean: the difference of two large squares would lose its digits.
    shift = np.asarray(images[0], dtype=np.float64).mean(axis=(1, 2))
    for start in range(0, len(images), _BLOCK):
        block = np.asarray(images[start : start + _BLOCK], dtype=np.float64)
        block = block - shift[:, np.newaxis, np.newaxis]
        total += block.sum(axis=(0, 2, 3))
        squares += np.square(block).sum(axis=(0, 2, 3))
    count = images.size // channels
    offset = total / count
    deviation = np.sqrt(np.maximum(squares / count - np.square(offset), 0))
    constant = deviation < _SMALLEST_DEVIATION
    if constant.any():
        _log.warning("channels %s are constant in training", np.flatnonzero(constant).tolist())
    deviation = np.where(constant, 1.0, deviation)
    return Normalisation(tuple((shift + offset).tolist()), tuple(deviation.tolist()))


@final
@dataclass(frozen=True, eq=False)
class DataPart:
    """Some rows of a data set, not copied.

    Args:
        images: All images the rows point into, NCHW, uint8 or float32, possibly mapped.
        all_labels: Labels of all these images.
        rows: Sorted row numbers of this part, or None for all.
        normalisation: Statistics of the training images.
    """

    images: Images
    all_labels: Labels
    rows: Indices | None
    normalisation: Normalisation

    def __len__(self) -> int:
        return len(self.images) if self.rows is None else len(self.rows)

    @property
    def labels(self) -> Labels:
        """Labels of the part's rows, int64 `(count,)`."""
        return self.all_labels if self.rows is None else self.all_labels[self.rows]

    @property
    def is_mapped(self) -> bool:
        """Whether the pixels stay on disk and are read by batch."""
        return isinstance(self.images, np.memmap)

    def pixels(self, chosen: npt.NDArray[np.int64] | None = None) -> npt.NDArray[Any]:
        """Return the stored pixels of the chosen rows of this part (None: all), NCHW, in order."""
        if self.rows is None and chosen is None:
            return self.images
        if self.rows is None:
            return np.asarray(self.images[chosen])
        return np.asarray(self.images[self.rows if chosen is None else self.rows[chosen]])

    def limited(self, count: int, seed: int) -> Self:
        """Return a part of at most `count` rows in which each class keeps its share.

        Raises:
            DataError: If `count` is below the number of classes.
        """
        chosen = stratified_subset(self.labels, count, seed)
        rows = chosen if self.rows is None else self.rows[chosen]
        return type(self)(self.images, self.all_labels, rows, self.normalisation)

    def joined(self, other: DataPart) -> DataPart:
        """Return the rows of this part and of another part of the same images."""
        assert self.images is other.images, "parts of one data set share their images"
        if self.rows is None or other.rows is None:
            return DataPart(self.images, self.all_labels, None, self.normalisation)
        rows = np.union1d(self.rows, other.rows)
        return DataPart(self.images, self.all_labels, rows, self.normalisation)


@final
@dataclass(frozen=True, eq=False)
class FiveParts:
    """The five parts of the data; `nas.training.splits` says what each is for.

    `recalibration` is the weights' part. `training` is the whole training part (weights, gates
    and validation together), on which the confirmation retrains.
    """

    weights: DataPart
    gates: DataPart
    validation: DataPart
    test: DataPart
    training: DataPart

    @property
    def recalibration(self) -> DataPart:
        """Images for batch-norm statistics: those of the weights' part and nothing else."""
        return self.weights

    @property
    def learning(self) -> DataPart:
        """Weights and gates together: what a training sees that is scored on validation."""
        return self.weights.joined(self.gates)


def split_five(
    data: ImageData, run_seed: int, fractions: SplitFractions | None = None
) -> FiveParts:
    """Split a data set into its parts; the test part is the same for every seed.

    Raises:
        DataError: If a class has fewer training images than there are parts.
    """
    try:
        splits = split_training(data.y_train, run_seed, fractions)
    except DataError as error:
        error.where = error.where or f"the training images of {data.name}"
        raise
    whole = training_part(data)

    def part(rows: Indices) -> DataPart:
        return DataPart(data.x_train, data.y_train, rows, whole.normalisation)

    return FiveParts(
        weights=part(splits.weights),
        gates=part(splits.gates),
        validation=part(splits.validation),
        test=DataPart(data.x_test, data.y_test, None, whole.normalisation),
        training=whole,
    )


def training_part(data: ImageData) -> DataPart:
    """Return all training images as one part."""
    return DataPart(data.x_train, data.y_train, None, channel_statistics(data.x_train))


def limited_parts(parts: FiveParts, count: int, run_seed: int) -> FiveParts:
    """Return the parts with weights, gates and validation cut to at most `count` rows each.

    For smoke tests; the test part stays whole.
    """

    def cut(part: DataPart, index: int) -> DataPart:
        return part.limited(count, derive_seed(run_seed, "limit", index)) if len(part) else part

    return FiveParts(
        cut(parts.weights, 0),
        cut(parts.gates, 1),
        cut(parts.validation, 2),
        parts.test,
        cut(parts.training, 3),
    )
