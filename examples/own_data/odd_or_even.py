"""A data set of one's own: handwritten digits at twice the resolution, told odd from even.

A data set is a function that returns four arrays. Images are `(count, height, width)`,
`(count, channels, height, width)` or `(count, height, width, channels)`; labels are integers from
0. The engine checks them, splits the training part, and touches the test part once, at the end.

    nas data check examples/own_data/odd_or_even.py:load
    nas search tiny_exhaustive --data examples/own_data/odd_or_even.py:load --preset smoke
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits


def load() -> dict[str, np.ndarray]:
    """Return 16x16 images, label 1 for odd digits; every fourth image is for the test."""
    digits = load_digits()
    images = np.kron(digits.images, np.ones((2, 2))).astype(np.float32) / 16
    labels = digits.target % 2
    is_test = np.arange(len(images)) % 4 == 0
    return {
        "x_train": images[~is_test],
        "y_train": labels[~is_test],
        "x_test": images[is_test],
        "y_test": labels[is_test],
    }
