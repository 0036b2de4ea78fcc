"""Source `digits`: 1,797 real handwritten digits of 8 x 8 grey pixels, shipped with scikit-learn.

They need no download, so the first search of a fresh checkout runs on real images. The test part
is a fixed stratified quarter and does not depend on the run's seed.
"""

from __future__ import annotations

import numpy as np

from nas.training.data.image_data import RawImages
from nas.training.splits import fixed_test_rows


def load_digits_images() -> RawImages:
    """Return the digits, uint8 from 0 to 16, 1,347 for training and 450 for testing."""
    # scikit-learn takes a second to import; only this source pays for it.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.asarray(bunch.images).astype(np.uint8)
    labels = np.asarray(bunch.target).astype(np.int64)
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
