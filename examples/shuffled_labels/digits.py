"""Handwritten digits whose labels are shuffled: nothing can be learned, so nobody can win.

A search that claims a gain here is one that believes its own noise. The confirmation is to end with
"none found" in every bin.

    nas search examples/shuffled_labels/search.yaml
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

SEED = 0


def load() -> dict[str, np.ndarray]:
    """Return 8x8 images with labels in random order; every fourth image is for the test."""
    digits = load_digits()
    labels = np.random.default_rng(SEED).permutation(digits.target)
    is_test = np.arange(len(labels)) % 4 == 0
    return {
        "x_train": digits.images[~is_test].astype(np.float32) / 16,
        "y_train": labels[~is_test],
        "x_test": digits.images[is_test].astype(np.float32) / 16,
        "y_test": labels[is_test],
    }
