"""Batches and statistics: normalised by training images, the same for a seed, in channels_last."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from image_makers import made_images

from nas.training.batches import Batches, part_tensors
from nas.training.data.image_data import ImageData
from nas.training.parts import (
    DataPart,
    Normalisation,
    channel_statistics,
    split_five,
    training_part,
)

CPU = torch.device("cpu")


def data_of(x_test: np.ndarray | None = None) -> ImageData:
    images, labels = made_images(60, 3, (3, 8, 6))
    test_images, test_labels = made_images(12, 3, (3, 8, 6), seed=1)
    return ImageData(
        "made",
        images,
        labels,
        test_images if x_test is None else x_test,
        test_labels,
        ("a", "b", "c"),
        "f",
    )


def test_statistics_are_those_of_numpy() -> None:
    images = np.random.default_rng(0).normal(1000, 3, (37, 2, 5, 4)).astype(np.float32)
    statistics = channel_statistics(images)
    exact = images.astype(np.float64)
    np.testing.assert_allclose(statistics.mean, exact.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(statistics.deviation, exact.std(axis=(0, 2, 3)), rtol=1e-9)


def test_a_constant_channel_is_told_and_becomes_zero(caplog: pytest.LogCaptureFixture) -> None:
    images, labels = made_images(9)
    images[:, 1] = 200
    with caplog.at_level(logging.WARNING, "nas"):
        statistics = channel_statistics(images)
    assert "channels [1] are constant" in caplog.text
    part = DataPart(images, labels, None, statistics)
    assert part_tensors(part, CPU)[0][:, 1].abs().max() == 0


def test_the_test_part_does_not_touch_the_statistics() -> None:
    plain = split_five(data_of(), 0)
    shifted = split_five(data_of(np.full((12, 3, 8, 6), 255, dtype=np.uint8)), 0)
    assert plain.test.normalisation == shifted.test.normalisation
    assert plain.test.normalisation == channel_statistics(data_of().x_train)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_whole_part_is_normalised_and_in_order(dtype: type) -> None:
    images, labels = made_images(20)
    part = DataPart(
        images.astype(dtype), labels, np.array([3, 5, 11]), Normalisation((1.0,) * 3, (2.0,) * 3)
    )
    x, y = part_tensors(part, CPU)
    np.testing.assert_allclose(x.numpy(), (images[[3, 5, 11]].astype(np.float32) - 1) / 2)
    assert y.tolist() == labels[[3, 5, 11]].tolist()
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_an_epoch_shows_each_image_once_and_drops_the_rest() -> None:
    images, labels = made_images(50)
    images[:, 0, 0, 0] = np.arange(50)
    part = DataPart(images, labels, None, Normalisation((0.0,) * 3, (1.0,) * 3))
    batches = Batches(part, 16, CPU)
    seen = torch.cat([x[:, 0, 0, 0] for x, _ in batches.epoch(0, 0)]).int().tolist()
    assert batches.steps_per_epoch == 3
    assert len(seen) == len(set(seen)) == 48


@pytest.mark.parametrize("augmentation", ["none", "shift", "flip_crop"])
def test_an_epoch_is_decided_by_seed_and_number_alone(augmentation: str) -> None:
    def epoch(seed: int, number: int) -> torch.Tensor:
        batches = Batches(training_part(data_of()), 20, CPU, augmentation)  # type: ignore[arg-type]
        return torch.cat([x for x, _ in batches.epoch(seed, number)])

    assert torch.equal(epoch(0, 3), epoch(0, 3))
    assert not torch.equal(epoch(0, 3), epoch(0, 4))
    assert not torch.equal(epoch(0, 3), epoch(1, 3))


def test_a_part_smaller_than_a_batch_is_one_batch() -> None:
    batches = Batches(training_part(data_of()), 1000, CPU)
    assert [len(y) for _, y in batches.epoch(0, 0)] == [60]


def test_a_shift_moves_the_picture_by_at_most_an_eighth_and_fills_with_the_mean() -> None:
    images = np.zeros((200, 1, 16, 16), dtype=np.float32)
    images[:, 0, 8, 8] = 1
    part = DataPart(images, np.zeros(200, np.int64), None, Normalisation((0.0,), (1.0,)))
    ((moved, _),) = Batches(part, 200, CPU, "shift").epoch(0, 0)
    where = moved[:, 0].nonzero()[:, 1:]
    assert len(where) == 200
    assert where.min() == 6
    assert where.max() == 10
    assert moved.sum() == 200


def test_a_flip_mirrors_about_half_of_the_images() -> None:
    images = np.zeros((400, 1, 8, 32), dtype=np.float32)
    images[:, 0, 4, 4] = 1
    part = DataPart(images, np.zeros(400, np.int64), None, Normalisation((0.0,), (1.0,)))
    ((moved, _),) = Batches(part, 400, CPU, "flip_crop").epoch(0, 0)
    right = (moved[:, 0].nonzero()[:, 2] > 16).sum().item()
    assert 150 < right < 250


def test_mapped_images_give_the_same_batches(tmp_path: Path) -> None:
    images, labels = made_images(60)
    np.save(tmp_path / "x.npy", images)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    rows = np.arange(5, 55)
    statistics = channel_statistics(images)
    batches = [
        Batches(DataPart(array, labels, rows, statistics), 16, CPU, "flip_crop")
        for array in (images, mapped)
    ]
    for (x, y), (mapped_x, mapped_y) in zip(*(each.epoch(0, 1) for each in batches), strict=True):
        assert torch.equal(x, mapped_x)
        assert torch.equal(y, mapped_y)
