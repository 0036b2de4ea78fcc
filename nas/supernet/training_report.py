"""What a supernet training tells: after every epoch, and at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

from nas.space import Decisions
from nas.supernet.checkpoints import Checkpoint, Fault
from nas.supernet.health.alarms import Alarm


@final
@dataclass(frozen=True)
class EpochHealth:
    """How a supernet training stands after an epoch.

    Args:
        epoch: Epochs done, from 1.
        epochs: Epochs in all.
        step: Steps done.
        loss: Mean training loss of the epoch's steps, in nats.
        seconds: Wall-clock time since this process began the training.
        faults: Divergences so far, each recovered from.
        numbers: Further named numbers, such as the loss by pattern or the gates' entropy.
        alarms: What the epoch raised.
    """

    epoch: int
    epochs: int
    step: int
    loss: float
    seconds: float
    faults: tuple[Fault, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    alarms: tuple[Alarm, ...] = ()

    @property
    def recoveries(self) -> int:
        """Number of divergences so far."""
        return len(self.faults)


@final
@dataclass(frozen=True)
class TrainingResult:
    """What a supernet training did.

    Args:
        steps: Weight updates in all, those before a resumption included.
        losses: Mean loss per epoch finished in this process, in nats.
        seconds: Wall-clock time in this process.
        finished: False if it was stopped early.
        faults: Divergences it recovered from, those before a resumption included.
        declared: What a result must say of how the weights were trained, such as the sampler.
        proposals: Members that the search is to try first.
    """

    steps: int
    losses: tuple[float, ...]
    seconds: float
    finished: bool
    faults: tuple[Fault, ...] = ()
    declared: Mapping[str, Any] = field(default_factory=dict)
    proposals: tuple[Decisions, ...] = ()

    @property
    def recoveries(self) -> int:
        """Number of divergences."""
        return len(self.faults)

    @property
    def trustworthy(self) -> bool:
        """Whether the weights may rank members at all: not after a divergence.

        Weights behind a recovery were trained in two pieces, at two rates; what they rank is to be
        marked untrusted until it was measured.
        """
        return not self.faults


OnEpoch = Callable[[EpochHealth, Callable[[], Checkpoint]], None]
"""Gets the health and a function that returns the checkpoint to resume from."""
