"""Running batch-norm statistics of the shared weights: what a score without recalibration uses.

They average over all paths that were sampled, so they describe no member; their only use is to show
beside a recalibrated score what recalibration changed. They are kept per norm slot, follow the
norms' sharing policy, and travel with the weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.supernet.execution import Statistics
from nas.supernet.slots import Program, SlotUse

MOMENTUM = 0.1
"""Share of the newest batch in the running statistics, as in torch."""
_MEAN, _VARIANCE = "mean", "variance"


@final
class RunningStatistics(nn.Module):
    """Mean and variance of every norm slot, updated by training passes."""

    def read(self, use: SlotUse, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the slices that belong to a norm's scale, to be updated in place.

        Args:
            use: The scale's slot; one that is new starts with mean 0 and variance 1.
            like: Tells the device and the type.
        """
        return self._read(use, _MEAN, like), self._read(use, _VARIANCE, like)

    def _read(self, use: SlotUse, kind: str, like: Tensor) -> Tensor:
        (channels,) = use.shape
        known = self._find(use.key, kind)
        size = 0 if known is None else known.shape[0]
        if known is None or size < channels:
            return self._file(use.key, kind, self._fresh(use, kind).to(like))
        # Every norm of every step asks: a slice of the whole would cost more than all the rest.
        return known if size == channels else known[:channels]

    def _fresh(self, use: SlotUse, kind: str) -> Tensor:
        """Return a new tensor of the size of `use` that starts with what is known."""
        known = self._find(use.key, kind)
        value = torch.zeros(use.shape) if kind == _MEAN else torch.ones(use.shape)
        if known is not None:
            value = value.to(known)
            size = min(len(value), len(known))
            value[:size] = known[:size]
        return value

    def of(self, norms: Iterable[tuple[str, SlotUse]], like: Tensor) -> Statistics:
        """Return a copy of the slices of norms by site.

        Args:
            norms: Sites and scales, such as a program's.
            like: Tells the device and the type.
        """
        return Statistics(
            {
                site: (self._fresh(use, _MEAN).to(like), self._fresh(use, _VARIANCE).to(like))
                for site, use in norms
            }
        )

    def copy(self, source: str, target: str) -> None:
        """Start one norm slot from another."""
        for kind in (_MEAN, _VARIANCE):
            value = self._find(source, kind)
            if value is not None:
                self._file(target, kind, value.clone())

    def drop(self, key: str) -> None:
        """Forget a norm slot."""
        for kind in (_MEAN, _VARIANCE):
            self._buffers.pop(_name(key, kind), None)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return a copy of all statistics by slot and kind."""
        return {
            name.replace("\\", "."): value.detach().cpu().numpy().copy()
            for name, value in self.named_buffers()
        }

    def load_arrays(self, arrays: Mapping[str, NDArray[Any]], like: Tensor) -> None:
        """Take what `arrays` gave and forget all else."""
        self._buffers.clear()
        for full, array in arrays.items():
            key, _, kind = full.rpartition("|")
            self._file(key, kind, torch.from_numpy(np.array(array)).to(like))

    def _find(self, key: str, kind: str) -> Tensor | None:
        return self._buffers.get(_name(key, kind))

    def _file(self, key: str, kind: str, value: Tensor) -> Tensor:
        self.register_buffer(_name(key, kind), value, persistent=False)
        return value


@lru_cache(maxsize=65_536)
def _name(key: str, kind: str) -> str:
    return f"{key}|{kind}".replace(".", "\\")  # a dot is torch's separator of submodules


@final
class RunningNorm:
    """Normalise by the batch's statistics and move the running ones towards them.

    Args:
        running: The statistics.
        program: The member that runs; its norms know their slots.
        like: Tells the device and the type.
    """

    training = True

    def __init__(self, running: RunningStatistics, program: Program, like: Tensor) -> None:
        self._running = running
        self._uses = dict(program.norms)
        self._like = like

    def __call__(
        self, site: str, x: Tensor, weight: Tensor | None, bias: Tensor | None, epsilon: float
    ) -> Tensor:
        """Normalise and update."""
        mean, variance = self._running.read(self._uses[site], self._like)
        return F.batch_norm(x, mean, variance, weight, bias, True, MOMENTUM, epsilon)
