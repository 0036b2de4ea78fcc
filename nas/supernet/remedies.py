"""Remedies: what a relaxed training does about its alarms, and what it remembers of it.

Gates collapse onto operations without weights because gates learn faster than weights: an identity
is as good on the first day as on the last, a convolution is not (Liang et al. 2019, DARTS+,
arXiv:1909.06035, stop there; Zela et al. 2020, arXiv:1909.09656). So the remedy gives weights time
and takes the head start away. Answers starve that were never tried; so the remedy tries them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from nas.supernet.alarms import Alarm
from nas.supernet.checkpoints import Checkpoint
from nas.supernet.health import free_options

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining

REST_EPOCHS = 1
"""Epochs that train the weights alone after a collapse."""
RATE_FACTOR = 0.5
"""On the gates' learning rate, at every collapse."""
EXPLORATION = 0.2
"""Share of equal gates in every gate after a starvation."""
EXPLORING_EPOCHS = 2


@final
class Remedies:
    """What was done about alarms; plain numbers that go into the checkpoint.

    Args:
        training: Whose gates are treated.
    """

    def __init__(self, training: RelaxedTraining) -> None:
        self.training = training
        self.rate_factor = 1.0
        self.rest_until = 0
        self.explore_until = 0
        self.taken = 0

    def resting(self, step: int) -> bool:
        """Tell whether the gates stand still at a step."""
        return step < self.rest_until

    def exploration(self, step: int) -> float:
        """Return the share of equal gates at a step."""
        return EXPLORATION if step < self.explore_until else 0.0

    def take(self, alarms: Sequence[Alarm]) -> None:
        """Act on alarms; those whose remedy is not to be taken are passed over."""
        for alarm in alarms:
            if not alarm.taken or alarm.name == "divergence":
                continue
            self.taken += 1
            if alarm.name == "collapse":
                self._hold_back()
            else:
                self.explore_until = self._after(EXPLORING_EPOCHS)

    def _after(self, epochs: int) -> int:
        return self.training.step + epochs * self.training.batches.steps_per_epoch

    @torch.no_grad()
    def _hold_back(self) -> None:
        """Take the head start of operations without weights away, and let the weights catch up."""
        relaxation, adam = self.training.relaxation, self.training.adam
        for choice in relaxation.every_choice():
            free = free_options(choice)
            if not free:
                continue
            places = relaxation.positions(choice)
            lowered = [places[number] for number in free]
            others = [place for place in places if place not in lowered]
            mean = relaxation.logits[others].mean()
            relaxation.logits[lowered] = relaxation.logits[lowered].clamp_max(mean)
            adam.first[lowered] = 0.0
        self.rate_factor *= RATE_FACTOR
        self.rest_until = self._after(REST_EPOCHS)

    def arrays(self) -> Checkpoint:
        """Return what is remembered."""
        state = [self.rate_factor, self.rest_until, self.explore_until, self.taken]
        return {"remedies": np.array(state, dtype=np.float64)}

    def load_arrays(self, arrays: Checkpoint) -> None:
        """Take what `arrays` gave."""
        rate, rest, explore, taken = arrays["remedies"].tolist()
        self.rate_factor = float(rate)
        self.rest_until, self.explore_until, self.taken = int(rest), int(explore), int(taken)
