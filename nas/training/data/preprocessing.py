"""What a network expects of an image file: colours, size, range of pixels, normalisation, classes.

It is recorded when the data are loaded and goes with every network that leaves a run, so that a
picture is treated as the training images were. Files have pixels from 0 to 255; data may not (the
digits go to 16), so the stored value of a white pixel is a part of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, final

import numpy as np
from numpy.typing import NDArray

from nas.errors import DataError
from nas.training.data.image_data import ImageData, Images
from nas.training.parts import Normalisation, training_part

FILE_WHITE: Final = 255
_DARK: Final = 127
"""Bytes that never exceed this are taken for a smaller range, as that of the digits is."""
_MOST_CLASSES: Final = 1_000_000
_LARGEST_SIDE: Final = 65_536


@final
@dataclass(frozen=True)
class Preprocessing:
    """From the pixels of a file to the input of a network.

    Args:
        input_shape: `(channels, height, width)`; 1 channel is grey, 3 are red, green and blue.
        white: Value that a white pixel has in the data; None where the data are not in the range
            of any file, so that pictures cannot be turned into them.
        normalisation: Mean and deviation per channel, in the units of the data.
        classes: Names in the order of the logits.
    """

    input_shape: tuple[int, int, int]
    white: float | None
    normalisation: Normalisation
    classes: tuple[str, ...]

    @classmethod
    def of(cls, data: ImageData, normalisation: Normalisation | None = None) -> Self:
        """Return what the networks of a data set expect.

        Args:
            data: The data set.
            normalisation: Of its training images, where it is known already.
        """
        found = normalisation or training_part(data).normalisation
        return cls(data.input_shape, white_of(data.x_train), found, data.classes)

    def normalised(self, pixels: Images) -> NDArray[np.float32]:
        """Return stored pixels `(count, channels, height, width)` as a network reads them."""
        mean = np.asarray(self.normalisation.mean, dtype=np.float32)[:, None, None]
        scale = 1 / np.asarray(self.normalisation.deviation, dtype=np.float32)[:, None, None]
        return np.asarray((pixels.astype(np.float32) - mean) * scale, dtype=np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "input_shape": list(self.input_shape),
            "white": self.white,
            "mean": list(self.normalisation.mean),
            "deviation": list(self.normalisation.deviation),
            "classes": list(self.classes),
        }

    @classmethod
    def from_dict(cls, given: Any, where: str) -> Self:
        """Return what `to_dict` described; a file of a stranger is checked value by value.

        Raises:
            DataError: If anything is missing or out of its range.
        """
        values: Mapping[str, Any] = given if isinstance(given, dict) else {}
        shape, white, classes = (values.get(key) for key in ("input_shape", "white", "classes"))
        statistics = [_numbers(values.get(key)) for key in ("mean", "deviation")]
        whole = _numbers(shape)
        problem = (
            _shape_problem(whole)
            or _statistics_problem(whole, *statistics)
            or _classes_problem(classes)
            or _white_problem(white)
        )
        if problem:
            raise DataError(
                f"The preprocessing of the network is not readable: {problem}.",
                where=where,
                fix="Export the network again.",
            )
        channels, height, width = map(int, whole)
        normalisation = Normalisation(tuple(statistics[0]), tuple(statistics[1]))
        assert isinstance(classes, list)
        return cls(
            (channels, height, width),
            None if white is None else float(white),
            normalisation,
            tuple(map(str, classes)),
        )


def white_of(images: Images) -> float | None:
    """Return the value of a white pixel in stored images, None where their range has none.

    Bytes go to 255, or to their largest value where that is below half of it; floats from 0 to 1
    go to 1, and floats from 0 to 255 to 255. Others are centred or scaled already.
    """
    if isinstance(images, np.memmap):  # decoded from files
        return float(FILE_WHITE)
    largest, smallest = float(images.max()), float(images.min())
    if images.dtype == np.uint8:
        return float(FILE_WHITE) if largest > _DARK or not largest else largest
    if smallest < 0 or largest > FILE_WHITE:
        return None
    return 1.0 if largest <= 1 else float(FILE_WHITE)


def _numbers(given: object) -> list[float]:
    """Return a list of finite numbers, empty for anything else."""
    values = given if isinstance(given, list) else []
    fine = all(type(each) in (int, float) and math.isfinite(each) for each in values)
    return [float(each) for each in values] if fine else []


def _shape_problem(shape: list[float]) -> str:
    fine = len(shape) == 3 and all(1 <= each <= _LARGEST_SIDE for each in shape)
    return "" if fine else "input_shape is not three sides from 1"


def _statistics_problem(shape: list[float], mean: list[float], deviation: list[float]) -> str:
    fine = len(mean) == len(deviation) == shape[0] and all(each > 0 for each in deviation)
    return "" if fine else "mean and deviation are not one number per channel"


def _classes_problem(classes: object) -> str:
    fine = isinstance(classes, list) and 2 <= len(classes) <= _MOST_CLASSES
    fine = fine and all(isinstance(each, str) for each in classes)  # type: ignore[attr-defined]
    return "" if fine else "classes is not a list of at least two names"


def _white_problem(white: object) -> str:
    known = type(white) in (int, float) and 0 < white < math.inf  # type: ignore[operator]
    return "" if white is None or known else "white is not a positive number"
