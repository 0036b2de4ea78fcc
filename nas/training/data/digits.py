"""Source `digits`: 1,797 real handwritten digits of 8 x 8 grey pixels, shipped with scikit-learn.

They need no download, so the first search of a fresh checkout runs on real images. The test part
is a fixed stratified quarter and does not depend on the run's seed. Their file is read as it is:
scikit-learn, with the scipy and pandas that it loads, takes a second to import, and every process
of a search would pay for it.
"""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from nas.training.data.image_data import RawImages
from nas.training.splits import fixed_test_rows

SIDE: Final = 8

_PLACE: Final = ("datasets", "data", "digits.csv.gz")
"""Where scikit-learn keeps them; each line has the pixels of one digit, then which one it is."""


def load_digits_images() -> RawImages:
    """Return the digits, uint8 from 0 to 16, 1,350 for training and 447 for testing."""
    table = _table()
    images = np.ascontiguousarray(table[:, :-1]).reshape(-1, SIDE, SIDE)
    labels = table[:, -1].astype(np.int64)
    test = fixed_test_rows(labels)
    train = np.setdiff1d(np.arange(len(labels)), test)
    return RawImages(
        images[train],
        labels[train],
        images[test],
        labels[test],
        classes=tuple(str(digit) for digit in range(10)),
        layout="NHW",
    )


def _table() -> npt.NDArray[np.uint8]:
    """Return pixels and label of every digit, one row each."""
    package = importlib.util.find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        file = Path(folder).joinpath(*_PLACE)
        if file.is_file():
            lines = gzip.decompress(file.read_bytes()).decode("ascii").splitlines()
            return np.loadtxt(lines, dtype=np.uint8, delimiter=",")
    # A scikit-learn that keeps them elsewhere is asked for them.
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return np.column_stack([pixels, labels]).astype(np.uint8)
