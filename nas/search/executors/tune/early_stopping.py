"""Asynchronous successive halving: trainings that lag behind others at the same epoch are stopped.

Li et al. 2020 (ASHA, arXiv:1810.05934). A stopped training says nothing about how its network would
have ended, so nobody may be named by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, final

STOPPED: Final = "stopped"
"""Reason of a training that ended early because others were better by then."""

REDUCTION: Final = 3
"""Of the trainings that reach a rung, one in so many goes on."""

FIRST_SHARE: Final = 9
"""The first rung comes after this part of all epochs."""


@final
@dataclass(frozen=True)
class EarlyStopping:
    """How trainings of one recipe are stopped.

    Args:
        epochs: Epochs of a whole training.
    """

    epochs: int

    @property
    def grace(self) -> int:
        """Epochs that every training gets."""
        return max(1, self.epochs // FIRST_SHARE)

    def looks(self) -> list[int]:
        """Return the epochs after which trainings are compared."""
        count = int(math.log(self.epochs / self.grace) / math.log(REDUCTION) + 1)
        return [self.grace * REDUCTION**rung for rung in range(count)]

    def scheduler(self) -> Any:
        """Return Tune's scheduler."""
        from ray.tune.schedulers import AsyncHyperBandScheduler

        from nas.search.executors.tune.trial import ERROR

        return AsyncHyperBandScheduler(
            time_attr="training_iteration",
            metric=ERROR,
            mode="min",
            max_t=self.epochs,
            grace_period=self.grace,
            reduction_factor=REDUCTION,
        )
