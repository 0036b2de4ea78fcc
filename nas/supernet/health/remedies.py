"""Remedies: what a relaxed training does about its alarms, and what it remembers of it.

Gates collapse onto operations without weights for one of two causes. Early, weights lag behind: an
identity is as good on the first day as on the last, a convolution is not. Late, weights know their
images by heart, and what has no weights generalises better (Zela et al. 2020, arXiv:1909.09656).
So the first collapse gives the weights time; a second one, when they had it, ends the search at the
last gates that were fair (early stopping: Liang et al. 2019, DARTS+, arXiv:1909.06035). Answers
starve that were never tried; so the remedy tries them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from nas.supernet.checkpoints import Checkpoint
from nas.supernet.health.alarms import Alarm
from nas.supernet.health.gate_health import free_options

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining

REST_EPOCHS = 1
"""Epochs that train the weights alone after the first collapse."""
MARGIN = 1e-3
"""How far below the others' mean logit operations without weights go back; so no tie is theirs."""
RATE_FACTOR = 0.5
"""On the gates' learning rate, at the first collapse."""
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
        self.collapses = 0
        self.fair = training.relaxation.logits.detach().clone()

    def resting(self, step: int) -> bool:
        """Tell whether the gates stand still at a step."""
        return step < self.rest_until

    def exploration(self, step: int) -> float:
        """Return the share of equal gates at a step."""
        return EXPLORATION if step < self.explore_until else 0.0

    @torch.no_grad()
    def watch(self, numbers: Mapping[str, float]) -> None:
        """Remember the gates of an epoch in which no operation had more than its fair share."""
        if numbers["free_share"] <= numbers["fair_free_share"]:
            self.fair = self.training.relaxation.logits.detach().clone()

    def take(self, alarms: Sequence[Alarm]) -> None:
        """Act on alarms; those whose remedy is not to be taken are passed over."""
        for alarm in alarms:
            if not alarm.taken:
                continue
            if alarm.name == "collapse":
                self._go_back()
            elif alarm.name == "starvation":
                self.explore_until = self._after(EXPLORING_EPOCHS)

    def _after(self, epochs: int) -> int:
        return self.training.step + epochs * self.training.batches.steps_per_epoch

    @torch.no_grad()
    def _go_back(self) -> None:
        """Take the last fair gates of all choices that may collapse, and rest, or stop for good."""
        relaxation, adam = self.training.relaxation, self.training.adam
        for choice in relaxation.every_choice():
            free = free_options(choice)
            if not free:
                continue
            places = relaxation.positions(choice)
            relaxation.logits[places] = self.fair[places]
            adam.first[places] = 0.0
            lowered = [places[number] for number in free]
            others = [place for place in places if place not in lowered]
            highest = relaxation.logits[others].mean() - MARGIN
            relaxation.logits[lowered] = relaxation.logits[lowered].clamp_max(highest)
        self.collapses += 1
        if self.collapses == 1:
            self.rate_factor = RATE_FACTOR
            self.rest_until = self._after(REST_EPOCHS)
        else:
            self.rest_until = self._after(self.training.config.epochs)

    def arrays(self) -> Checkpoint:
        """Return what is remembered."""
        state = [self.rate_factor, self.rest_until, self.explore_until, self.collapses]
        return {
            "remedies": np.array(state, dtype=np.float64),
            "fair_gates": self.fair.cpu().numpy().copy(),
        }

    def load_arrays(self, arrays: Checkpoint) -> None:
        """Take what `arrays` gave."""
        rate, rest, explore, collapses = arrays["remedies"].tolist()
        self.rate_factor, self.collapses = float(rate), int(collapses)
        self.rest_until, self.explore_until = int(rest), int(explore)
        self.fair = torch.from_numpy(arrays["fair_gates"].copy()).to(self.fair)
