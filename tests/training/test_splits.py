"""The five parts: disjoint, stratified, complete, and decided by the run's seed alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nas.errors import DataError
from nas.training.data import ImageData, load_data
from nas.training.parts import limited_parts, split_five
from nas.training.splits import (
    SplitFractions,
    apportion,
    fixed_test_rows,
    split_training,
    stratified_subset,
)

counts_per_class = st.lists(st.integers(3, 60), min_size=2, max_size=8)
shares = st.sampled_from([(0.6, 0.2, 0.2), (0.5, 0.25, 0.25), (0.8, 0.0, 0.2), (0.98, 0.01, 0.01)])


def labels_of(counts: list[int], seed: int = 0) -> np.ndarray:
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(seed).permutation(labels)


@given(counts_per_class, shares, st.integers(0, 2**32))
def test_the_parts_are_disjoint_complete_and_stratified(
    counts: list[int], share: tuple[float, float, float], seed: int
) -> None:
    labels = labels_of(counts)
    weights, gates, validation = share
    fractions = SplitFractions(weights=weights, gates=gates, validation=validation)
    splits = split_training(labels, seed, fractions)
    parts = (splits.weights, splits.gates, splits.validation)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    for rows, wanted in zip(parts, share, strict=True):
        have = np.bincount(labels[rows], minlength=len(counts))
        # Within one image of the share, but never without an image where a share is asked for.
        for number, count in zip(have, counts, strict=True):
            assert number == 0 if wanted == 0 else number >= 1
            assert abs(number - wanted * count) <= 2
    assert splits.recalibration is splits.weights


@given(counts_per_class, st.integers(0, 2**32))
def test_a_split_depends_on_the_seed_and_on_nothing_else(counts: list[int], seed: int) -> None:
    labels = labels_of(counts)
    first, again = split_training(labels, seed), split_training(labels, seed)
    np.testing.assert_array_equal(first.weights, again.weights)
    np.testing.assert_array_equal(first.validation, again.validation)


def test_another_seed_gives_another_split_but_the_same_test_part() -> None:
    data = load_data("digits")
    first, second = split_five(data, 0), split_five(data, 1)
    assert not np.array_equal(first.validation.rows, second.validation.rows)
    np.testing.assert_array_equal(first.test.pixels(), second.test.pixels())
    assert [len(part) for part in (first.weights, first.gates, first.validation)] == [810, 272, 268]
    assert len(first.training) == 1350
    assert first.recalibration is first.weights


@given(st.integers(1, 1000), st.lists(st.floats(0.01, 1), min_size=1, max_size=9))
def test_apportioned_sizes_add_up_and_leave_nobody_empty(total: int, weights: list[float]) -> None:
    total = max(total, len(weights))
    parts = tuple(weight / sum(weights) for weight in weights)
    sizes = apportion(total, parts)
    assert sum(sizes) == total
    assert min(sizes) >= 1


@given(counts_per_class, st.integers(8, 400), st.integers(0, 99))
def test_a_subset_keeps_every_class_and_its_size(counts: list[int], wanted: int, seed: int) -> None:
    labels = labels_of(counts)
    rows = stratified_subset(labels, wanted, seed)
    assert len(np.unique(rows)) == len(rows) == min(wanted, len(labels))
    assert len(np.unique(labels[rows])) == len(counts)


def test_the_fixed_test_rows_are_the_same_for_ever() -> None:
    rows = fixed_test_rows(np.arange(40) % 4)
    assert rows.tolist() == [0, 7, 11, 13, 14, 26, 36, 37]


@pytest.mark.fault("E14")
def test_a_class_with_fewer_images_than_parts_is_refused_with_counts() -> None:
    labels = np.array([0] * 9 + [1] * 2)
    with pytest.raises(
        DataError, match=r"(?s)Class 1 has 2 images, but the split has 3 parts \(11 images in all\)"
    ):
        split_training(labels, 0)
    without_gates = SplitFractions(weights=0.5, gates=0, validation=0.5)
    assert len(split_training(labels, 0, without_gates).gates) == 0


def test_a_subset_smaller_than_the_classes_is_refused() -> None:
    with pytest.raises(DataError, match=r"(?s)2 images cannot hold 3 classes.*at least 3"):
        stratified_subset(np.arange(9) % 3, 2, 0)


@pytest.mark.parametrize(
    ("shares", "match"),
    [
        ({"weights": 0.9}, "must add up to 1"),
        ({"weights": 0.0, "gates": 0.5, "validation": 0.5}, "greater than 0"),
        ({"weights": 1.2, "gates": -0.4, "validation": 0.2}, "less than or equal to 1"),
        ({"weigths": 0.6}, "Extra inputs"),
    ],
)
def test_impossible_shares_are_refused(shares: dict[str, float], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        SplitFractions(**shares)


def test_limited_parts_are_small_and_leave_the_test_part_whole(digits: ImageData) -> None:
    fractions = SplitFractions(weights=0.8, gates=0, validation=0.2)
    parts = limited_parts(split_five(digits, 0, fractions), 50, 0)
    assert [len(part) for part in (parts.weights, parts.gates, parts.validation)] == [50, 0, 50]
    assert len(parts.test) == 447
    assert parts.weights.rows is not None
    assert parts.validation.rows is not None
    assert not np.isin(parts.weights.rows, parts.validation.rows).any()


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_data("digits")
