"""The images that gates learn on, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from nas.supernet.alternations import Batch
from nas.training.batches import Batches


@final
class GateBatches:
    """The gates' images by step, so that a resumed training reads the same ones."""

    def __init__(self, batches: Batches, seed: int) -> None:
        self.batches = batches
        self.seed = seed
        self._next = -1
        self._last: Batch | None = None
        self._stream: Iterator[Batch] = iter(())

    def at(self, step: int) -> Batch:
        """Return the batch of a step; asking in order is quick."""
        if step == self._next - 1 and self._last is not None:
            return self._last
        epoch, number = divmod(step, self.batches.steps_per_epoch)
        if step != self._next or number == 0:
            self._stream = self.batches.epoch(self.seed, epoch)
            for _ in range(number):
                next(self._stream)
        self._next = step + 1
        self._last = next(self._stream)
        return self._last
