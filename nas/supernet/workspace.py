"""Memory that steps use again: fresh pages cost more than the arithmetic on a small stage."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

MOST_KEPT = 8
"""Blocks kept for later; the largest ones stay."""


@final
class Workspace:
    """Blocks of memory, lent and given back."""

    def __init__(self) -> None:
        self._free: list[Tensor] = []

    def take(self, rows: int, columns: int, like: Tensor) -> Tensor:
        """Return a matrix with arbitrary content, of the type and on the device of `like`."""
        size = rows * columns
        fitting = [
            block
            for block in self._free
            if block.numel() >= size and block.dtype == like.dtype and block.device == like.device
        ]
        if not fitting:
            return torch.empty(size, dtype=like.dtype, device=like.device).view(rows, columns)
        block = min(fitting, key=Tensor.numel)
        self._free = [other for other in self._free if other is not block]
        return block[:size].view(rows, columns)

    def give(self, matrix: Tensor) -> None:
        """Take back a matrix that nothing reads any more."""
        base = matrix._base if matrix._base is not None else matrix
        self._free.append(base.view(-1))
        self._free.sort(key=Tensor.numel, reverse=True)
        del self._free[MOST_KEPT:]
