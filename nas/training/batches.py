"""Batches from memory: gather, normalise, augment, in channels_last, with no worker processes.

Pixels stay as stored (uint8 where they came so) in one NHWC tensor on the device; gathering rows
of it moves a quarter of the bytes of floats and gives channels_last batches without a transpose.
A mapped set is read from its file batch by batch instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nas.seeds import derive_seed
from nas.training.data.image_data import Images
from nas.training.device import memory_format
from nas.training.parts import DataPart

Augmentation = Literal["none", "flip_crop", "shift"]


@final
class Batches:
    """Batches of one part of the data on one device.

    Args:
        part: Images and labels; at least one.
        batch_size: Images per batch; a part that holds fewer gives one batch of all.
        device: Where the batches are made.
        augmentation: As in `Recipe`.

    Shape:
        images: `(batch, channels, height, width)` float32, channels_last, normalised.
        labels: `(batch,)` int64.
    """

    def __init__(
        self,
        part: DataPart,
        batch_size: int,
        device: torch.device,
        augmentation: Augmentation = "none",
    ) -> None:
        self.part = part
        self.batch_size = min(batch_size, len(part))
        self.device = device
        self.augmentation = augmentation
        self._labels = torch.from_numpy(np.array(part.labels)).to(device)
        self._pixels = None if part.is_mapped else _to_nhwc(part.pixels(), device)
        self._mean = torch.tensor(part.normalisation.mean, dtype=torch.float32, device=device)
        deviation = torch.tensor(part.normalisation.deviation, dtype=torch.float32, device=device)
        self._scale = 1 / deviation

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches per epoch."""
        return len(self.part) // self.batch_size

    def epoch(self, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch, shuffled and augmented from (seed, epoch) alone.

        An epoch does not depend on the ones before it, so a resumed training sees the same
        batches. The incomplete last batch is dropped.
        """
        rng = torch.Generator().manual_seed(derive_seed(seed, "batches", epoch))
        order = torch.randperm(len(self.part), generator=rng)
        for step in range(self.steps_per_epoch):
            rows = order[step * self.batch_size : (step + 1) * self.batch_size]
            images, labels = self._gather(rows)
            yield self._augment(images, rng), labels

    def in_order(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images once, in order, without augmentation; the last batch may be smaller."""
        for start in range(0, len(self.part), self.batch_size):
            yield self._gather(torch.arange(start, min(start + self.batch_size, len(self.part))))

    def _gather(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        if self._pixels is None:
            pixels = _to_nhwc(self.part.pixels(rows.numpy()), self.device)
        else:
            pixels = self._pixels.index_select(0, rows.to(self.device))
        images = pixels.to(torch.float32).sub_(self._mean).mul_(self._scale)
        images = images.permute(0, 3, 1, 2).contiguous(memory_format=memory_format(self.device))
        return images, self._labels.index_select(0, rows.to(self.device))

    def _augment(self, images: Tensor, rng: torch.Generator) -> Tensor:
        if self.augmentation == "none":
            return images
        moved = _shift(images, rng, mirror=self.augmentation == "flip_crop")
        return moved.contiguous(memory_format=memory_format(self.device))


def part_tensors(part: DataPart, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a whole part as normalised channels_last images and labels, for `evaluate`."""
    batches = list(Batches(part, len(part), device).in_order())
    return batches[0]


def _to_nhwc(pixels: Images, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(pixels.transpose(0, 2, 3, 1), order="C")).to(device)


def _shift(images: Tensor, rng: torch.Generator, *, mirror: bool) -> Tensor:
    """Move each image by up to an eighth of its size; what comes in from outside is the mean.

    With `mirror` about half of the images are also mirrored left to right. Both are one gather:
    a row and a column number per pixel, drawn on the CPU so that all devices draw the same.
    """
    count, _, height, width = images.shape
    reach_y, reach_x = max(1, height // 8), max(1, width // 8)
    top = torch.randint(0, 2 * reach_y + 1, (count, 1), generator=rng)
    left = torch.randint(0, 2 * reach_x + 1, (count, 1), generator=rng)
    columns = torch.arange(width).expand(count, width)
    if mirror:
        mirrored = torch.rand((count, 1), generator=rng) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    device = images.device
    rows = (top + torch.arange(height)).to(device)[:, :, None]
    columns = (left + columns).to(device)[:, None, :]
    padded = F.pad(images.permute(0, 2, 3, 1), (0, 0, reach_x, reach_x, reach_y, reach_y))
    which = torch.arange(count, device=device)[:, None, None]
    return padded[which, rows, columns].permute(0, 3, 1, 2)
