"""Factors for the inputs that are left, so that a merge of some is the merge of those alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nas.topology.merges import SCALE_POWER

Kept = npt.NDArray[np.bool_]
"""`(inputs, draws)`: which inputs are left in each draw."""

Factors = npt.NDArray[np.float32]
"""`(inputs, draws)`: what each input is multiplied with in each draw."""


def survivor_factors(kept: Kept, scale: str) -> Factors:
    """Return what the inputs are multiplied with, so that those that are left merge on their own.

    A mean over d inputs of which k are left becomes the mean over k; a sum stays a sum; nested
    means of two skip the means of which one side is missing.

    Args:
        kept: Which inputs are left.
        scale: `none`, `rsqrt`, `mean` or `pairwise`.
    """
    if scale == "pairwise":
        whole = _nested_weights(np.ones_like(kept))
        return (_nested_weights(kept) / whole).astype(np.float32)
    left = np.maximum(kept.sum(axis=0), 1)
    factors: Factors = (kept * (left / len(kept)) ** SCALE_POWER[scale]).astype(np.float32)
    return factors


def _nested_weights(kept: Kept) -> npt.NDArray[np.float64]:
    """Return the weights of nested means of two, oldest first, over what is left."""
    weights = kept.astype(np.float64)
    for newest in range(1, len(kept)):
        both = kept[:newest].any(axis=0) & kept[newest]
        weights[: newest + 1] *= np.where(both, 0.5, 1.0)
    return weights
