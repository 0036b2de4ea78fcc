"""The type at the door: four checked arrays, class names and a fingerprint.

Every source of images ends here and everything after it reads only this. Images are uint8 or
float32 in NCHW, labels int64 from 0 to the number of classes less one; what breaks a rule was
refused by `nas.training.data.checks` before an `ImageData` exists.
"""

from __future__ import annotations

import hashlib
from dataclasses import KW_ONLY, dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[Any]
Labels = npt.NDArray[np.int64]
_DIGEST_BYTES = 16


@final
@dataclass(frozen=True, eq=False)
class RawImages:
    """What a source hands over before it is checked: arrays as they were found.

    Args:
        x_train: Training images, any supported layout.
        y_train: Training labels.
        x_test: Test images, or None where the source has no test part.
        y_test: Test labels, or None.
        classes: Class names, where the source knows them.
        layout: `NHW`, `NHWC` or `NCHW`, where the source knows it.
        digests: One digest per image, training part first, where the source kept them.
    """

    x_train: Any
    y_train: Any
    x_test: Any = None
    y_test: Any = None
    _: KW_ONLY
    classes: tuple[str, ...] | None = None
    layout: str | None = None
    digests: Images | None = None


@final
@dataclass(frozen=True, eq=False)
class ImageData:
    """A checked set of labelled images.

    Args:
        name: Short name, as in the default name of a run.
        x_train: Training images, uint8 or float32, `(count, channels, height, width)`.
        y_train: Training labels, int64, `(count,)`.
        x_test: Test images, same type and shape per image.
        y_test: Test labels.
        classes: Class names in the order of the labels.
        fingerprint: SHA-256 over pixels, labels and shapes; equal data have equal fingerprints.
        duplicates: Test images whose pixels are also those of a training image.
    """

    name: str
    x_train: Images
    y_train: Labels
    x_test: Images
    y_test: Labels
    classes: tuple[str, ...]
    fingerprint: str
    duplicates: int = 0

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.x_train.shape[1:]
        return int(channels), int(height), int(width)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def is_mapped(self) -> bool:
        """Whether the training images stay on disk and are read by batch."""
        return isinstance(self.x_train, np.memmap)


def image_digests(images: Images) -> npt.NDArray[np.uint8]:
    """Return a 16-byte digest per image, `(count, 16)`; one pass, image by image."""
    digests = np.empty((len(images), _DIGEST_BYTES), dtype=np.uint8)
    for index, image in enumerate(images):
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=_DIGEST_BYTES)
        digests[index] = np.frombuffer(digest.digest(), dtype=np.uint8)
    return digests


def data_fingerprint(
    digests: npt.NDArray[np.uint8], shape: tuple[int, ...], dtype: str, labels: list[Labels]
) -> str:
    """Return the SHA-256 (64 hex digits) of image digests, image shape, pixel type and labels."""
    whole = hashlib.sha256(f"nas.data/1|{shape}|{dtype}|".encode())
    whole.update(digests.tobytes())
    for part in labels:
        whole.update(f"|{len(part)}|".encode())
        whole.update(part.astype("<i8").tobytes())
    return whole.hexdigest()


def count_duplicates(
    train: npt.NDArray[np.uint8], test: npt.NDArray[np.uint8]
) -> tuple[int, int, int]:
    """Count repeated images: test images seen in training, repeats in training, repeats in test."""
    seen = {row.tobytes() for row in train}
    test_rows = [row.tobytes() for row in test]
    shared = sum(row in seen for row in test_rows)
    return shared, len(train) - len(seen), len(test_rows) - len(set(test_rows))
