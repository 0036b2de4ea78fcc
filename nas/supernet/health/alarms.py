"""Alarms: what a training's health says aloud, as data, each with its remedy.

An alarm is recorded whether its remedy is taken or not, and no remedy is taken without its alarm:
`RelaxedTraining` raises alarms first and hands those to `nas.supernet.health.remedies`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

from nas.supernet.checkpoints import Fault

AlarmName = Literal["collapse", "divergence", "starvation"]

HIGH_FREE_SHARE = 0.7
"""Probability of operations without weights that is never too much below this."""
HIGH_STARVED_SHARE = 0.1
"""Share of answers that never got a chance from which an alarm is raised."""

REMEDIES: dict[AlarmName, str] = {
    "collapse": "the gates of operations go back to the last epoch in which those without weights "
    "had at most their fair share, and rest for an epoch; at the second alarm they stay there; "
    "by hand: raise relaxation.gate_warmup_epochs, lower relaxation.gate_learning_rate, train for "
    "fewer epochs on more images, or add the regulariser 'skip'",
    "divergence": "weights and gates go back to the last good snapshot and the learning rate is a "
    "tenth from there on; by hand: lower the learning rate",
    "starvation": "every gate is mixed with an equal share for two epochs; by hand: lower "
    "relaxation.gate_learning_rate, or raise relaxation.temperature.start",
}


@final
@dataclass(frozen=True)
class Alarm:
    """Something that makes a training's result worth little.

    Args:
        name: What it is.
        value: What was measured.
        limit: From which value on it is raised.
        remedy: What helps, in words.
        taken: Whether the training did it.
    """

    name: AlarmName
    value: float
    limit: float
    remedy: str
    taken: bool

    def describe(self) -> str:
        """Return the alarm in a sentence."""
        what = "remedy taken" if self.taken else "remedy not taken"
        return f"{self.name}: {self.value:.3g}, limit {self.limit:.3g}; {what}: {self.remedy}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; a value that is not finite is a word."""
        value = self.value if math.isfinite(self.value) else str(self.value)
        return {
            "alarm": self.name,
            "value": value,
            "limit": self.limit,
            "remedy": self.remedy,
            "taken": self.taken,
        }


def divergence(fault: Fault, limit: float) -> Alarm:
    """Return the alarm of a divergence; going back is no choice, so it is always taken."""
    return Alarm("divergence", fault.loss, limit, REMEDIES["divergence"], True)


def collapse_limit(fair_share: float) -> float:
    """Return the highest harmless probability of operations without weights.

    Half of what equal probabilities leave to the others is gone, and at least `HIGH_FREE_SHARE` is
    reached: a space with many such operations starts high.

    Args:
        fair_share: Their probability where all options are equally likely.
    """
    return max(HIGH_FREE_SHARE, (1 + fair_share) / 2)


def gate_alarms(numbers: Mapping[str, float], *, remedies: bool) -> tuple[Alarm, ...]:
    """Return the alarms of an epoch's numbers.

    Args:
        numbers: Of `nas.supernet.health.gate_health.gate_numbers`.
        remedies: Whether the training takes them.
    """
    limits: dict[AlarmName, tuple[str, float]] = {
        "collapse": ("free_share", collapse_limit(numbers.get("fair_free_share", 0.0))),
        "starvation": ("starved_share", HIGH_STARVED_SHARE),
    }
    return tuple(
        Alarm(name, numbers[key], limit, REMEDIES[name], remedies)
        for name, (key, limit) in limits.items()
        if numbers.get(key, 0.0) > limit
    )
