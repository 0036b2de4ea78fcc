"""The five parts of the data: weights, gates, validation, test, and recalibration inside weights.

Supernet weights learn from `weights`, relaxation gates from `gates`, the search scores on
`validation`, and `test` is read once, by the confirmation. Batch-norm statistics are recalibrated
on `weights` only. Gates never see validation images: a wiring chosen on the images that score it
would look better than it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, model_validator

from nas.errors import DataError
from nas.seeds import derive_seed

Indices = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]

FIXED_TEST_FRACTION = 0.25
_FIXED_SEED = 0


class SplitFractions(BaseModel, frozen=True, extra="forbid"):
    """Shares of the training images per part; they add up to 1."""

    weights: float = Field(default=0.6, gt=0, le=1)
    """Share that trains the weights of the supernet, and recalibrates batch norm."""

    gates: float = Field(default=0.2, ge=0, lt=1)
    """Share that trains the gates of the relaxation; 0 where nothing is relaxed."""

    validation: float = Field(default=0.2, gt=0, lt=1)
    """Share on which the search scores its candidates."""

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        total = self.weights + self.gates + self.validation
        if abs(total - 1) > 1e-6:
            raise ValueError(
                f"weights + gates + validation = {total:g}, but the shares must add up to 1"
            )
        return self


@final
@dataclass(frozen=True, eq=False)
class Splits:
    """Row numbers into the training images, sorted; the parts are disjoint and cover all."""

    weights: Indices
    gates: Indices
    validation: Indices

    @property
    def recalibration(self) -> Indices:
        """Rows for batch-norm recalibration: the weights' part and nothing else."""
        return self.weights


def split_training(
    labels: Labels, run_seed: int, fractions: SplitFractions | None = None
) -> Splits:
    """Split the training images into weights, gates and validation, class by class.

    Args:
        labels: Training labels, `(count,)`.
        run_seed: Seed of the run; the split is draw 0 of the purpose `split`.
        fractions: Shares of the parts, by default 60, 20 and 20 %.

    Raises:
        DataError: If a class has fewer images than there are parts.
    """
    shares = fractions or SplitFractions()
    sizes = (shares.weights, shares.gates, shares.validation)
    parts = _stratified_parts(labels, sizes, derive_seed(run_seed, "split", 0))
    return Splits(*parts)


def fixed_test_rows(labels: Labels, *, fraction: float = FIXED_TEST_FRACTION) -> Indices:
    """Return the rows held out as test images where a source has none of its own.

    The rows depend on the labels only, never on a run's seed: all runs are tested on the same
    images.
    """
    seed = derive_seed(_FIXED_SEED, "fixed-test-split", 0)
    _, test = _stratified_parts(labels, (1 - fraction, fraction), seed)
    return test


def stratified_subset(labels: Labels, count: int, seed: int) -> Indices:
    """Return `count` sorted rows in which each class keeps its share; all rows if fewer exist.

    Raises:
        DataError: If `count` is below the number of classes.
    """
    num_classes = len(np.unique(labels))
    if count < num_classes:
        raise DataError(
            f"{count} images cannot hold {num_classes} classes.",
            why="Each class keeps at least one image.",
            fix=f"Ask for at least {num_classes} images.",
        )
    if count >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    rng = np.random.default_rng(seed)
    values, counts = np.unique(labels, return_counts=True)
    keep = apportion(count, tuple(counts / counts.sum()))
    chosen = [
        rng.permutation(np.flatnonzero(labels == value))[:share]
        for value, share in zip(values, keep, strict=True)
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def apportion(total: int, shares: tuple[float, ...]) -> list[int]:
    """Divide `total` by the shares into whole numbers that add up to it (largest remainder).

    Every positive share gets at least 1, taken from the largest part. `total` must be at least
    the number of positive shares.
    """
    exact = [total * share for share in shares]
    sizes = [
        max(int(value), 1) if share > 0 else 0 for value, share in zip(exact, shares, strict=True)
    ]
    by_remainder = sorted(
        (part for part, share in enumerate(shares) if share > 0),
        key=lambda part: (sizes[part] - exact[part], part),
    )
    for step in range(total - sum(sizes)):
        sizes[by_remainder[step % len(by_remainder)]] += 1
    while sum(sizes) > total:
        sizes[sizes.index(max(sizes))] -= 1
    return sizes


def _stratified_parts(labels: Labels, shares: tuple[float, ...], seed: int) -> list[Indices]:
    rng = np.random.default_rng(seed)
    needed = sum(share > 0 for share in shares)
    parts: list[list[Indices]] = [[] for _ in shares]
    for value, count in zip(*np.unique(labels, return_counts=True), strict=True):
        if count < needed:
            images = "1 image" if count == 1 else f"{count} images"
            raise DataError(
                f"Class {value} has {images}, but the split has {needed} parts "
                f"({len(labels)} images in all).",
                why="Each part needs at least one image of each class.",
                fix=f"Add images of class {value} or leave the class out.",
            )
        rows = rng.permutation(np.flatnonzero(labels == value))
        start = 0
        for part, size in enumerate(apportion(int(count), shares)):
            parts[part].append(rows[start : start + size])
            start += size
    return [np.sort(np.concatenate(rows)).astype(np.int64) for rows in parts]
