"""What `nas data check` tells: shapes, counts, statistics, repeats, fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from nas.training.data.image_data import ImageData, count_duplicates, image_digests
from nas.training.parts import channel_statistics

SUMMARY_SCHEMA = "nas.data/1"


@final
@dataclass(frozen=True)
class DataSummary:
    """Figures of a data set.

    Args:
        name: Short name.
        input_shape: Channels, height, width.
        dtype: Pixel type, `uint8` or `float32`.
        classes: Class names in the order of the labels.
        train_per_class: Training images of each class.
        test_per_class: Test images of each class.
        mean: Mean per channel of the training images, in stored units.
        deviation: Standard deviation per channel of the training images.
        duplicates_train_test: Test images whose pixels are also a training image's.
        duplicates_train: Training images that repeat an earlier one.
        duplicates_test: Test images that repeat an earlier one.
        fingerprint: SHA-256 of the data.
        mapped: Whether the images stay on disk.
    """

    name: str
    input_shape: tuple[int, int, int]
    dtype: str
    classes: tuple[str, ...]
    train_per_class: tuple[int, ...]
    test_per_class: tuple[int, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    duplicates_train_test: int
    duplicates_train: int
    duplicates_test: int
    fingerprint: str
    mapped: bool

    @property
    def count_train(self) -> int:
        """Training images in all."""
        return sum(self.train_per_class)

    @property
    def count_test(self) -> int:
        """Test images in all."""
        return sum(self.test_per_class)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as one JSON document of the schema `nas.data/1`."""
        return {
            "schema": SUMMARY_SCHEMA,
            "name": self.name,
            "input_shape": list(self.input_shape),
            "dtype": self.dtype,
            "num_classes": len(self.classes),
            "count_train": self.count_train,
            "count_test": self.count_test,
            "classes": [
                {"label": label, "name": name, "train": train, "test": test}
                for label, (name, train, test) in enumerate(
                    zip(self.classes, self.train_per_class, self.test_per_class, strict=True)
                )
            ],
            "channel_mean": list(self.mean),
            "channel_deviation": list(self.deviation),
            "duplicates": {
                "train_test": self.duplicates_train_test,
                "train": self.duplicates_train,
                "test": self.duplicates_test,
            },
            "fingerprint": self.fingerprint,
            "mapped": self.mapped,
        }


def summarise(data: ImageData) -> DataSummary:
    """Count and measure a data set; reads all its pixels once or twice."""
    statistics = channel_statistics(data.x_train)
    shared, train, test = count_duplicates(image_digests(data.x_train), image_digests(data.x_test))
    classes = data.num_classes
    return DataSummary(
        name=data.name,
        input_shape=data.input_shape,
        dtype=str(data.x_train.dtype),
        classes=data.classes,
        train_per_class=tuple(np.bincount(data.y_train, minlength=classes).tolist()),
        test_per_class=tuple(np.bincount(data.y_test, minlength=classes).tolist()),
        mean=statistics.mean,
        deviation=statistics.deviation,
        duplicates_train_test=shared,
        duplicates_train=train,
        duplicates_test=test,
        fingerprint=data.fingerprint,
        mapped=data.is_mapped,
    )
