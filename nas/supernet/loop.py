"""The loop of every supernet training: epochs, checkpoints, recovery from divergence.

Each step draws from seeds of its own number, so the loop can stop after any step and go on from a
checkpoint with the same bits. A checkpoint is plain arrays: weights, momentum, a few numbers, and a
stamp that tells which training it belongs to.
"""

from __future__ import annotations

import abc
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, final

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor

from nas.errors import ConfigError, DataError, TrialError
from nas.seeds import derive_seed
from nas.space import Decisions
from nas.supernet.checkpoints import (
    VERSION,
    Fault,
    check_stamp,
    pack,
    unpack,
)
from nas.supernet.checkpoints import Checkpoint as Checkpoint
from nas.supernet.checkpoints import below as below
from nas.supernet.health.alarms import Alarm, divergence
from nas.supernet.optimizer import SliceSgd
from nas.supernet.supernet import Supernet
from nas.supernet.training_report import EpochHealth as EpochHealth
from nas.supernet.training_report import OnEpoch as OnEpoch
from nas.supernet.training_report import TrainingResult as TrainingResult
from nas.training.batches import Augmentation, Batches
from nas.training.device import deterministic_kernels, use_threads
from nas.training.device_lock import SharedTurn, working_on
from nas.training.faults import memory_faults
from nas.training.parts import DataPart

_log = logging.getLogger("nas")

LOWER_RATE = 0.1
"""Factor on the learning rate after a divergence."""
WORST_LOSS = 20.0
"""Loss, in multiples of that of guessing, from which a training counts as diverged."""
_CHECK_EVERY_ON_ACCELERATOR = 20


class AbstractLoopConfig(BaseModel, frozen=True, extra="forbid"):
    """Settings every supernet training has."""

    epochs: int = Field(default=20, ge=1, le=100_000)
    """Passes over the weights' part of the data; too many learn small data by heart, and then
    inherited scores rank worse."""

    batch_size: int = Field(default=64, ge=2, le=1_000_000)
    """Images per step."""

    learning_rate: float = Field(default=0.1, gt=0, le=100, allow_inf_nan=False)
    """Largest learning rate; it falls to 0 along a cosine."""

    warmup_epochs: float = Field(default=1.0, ge=0, le=1000)
    """Epochs in which the learning rate rises linearly."""

    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Nesterov momentum."""

    weight_decay: float = Field(default=5e-4, ge=0, le=10, allow_inf_nan=False)
    """Decay of sampled kernels and matrices; nothing else decays."""

    gradient_clip: float | None = Field(default=5.0, gt=0, allow_inf_nan=False)
    """Largest norm of a step's gradient; None does not clip."""

    augmentation: Augmentation = "none"
    """As in `nas.training.recipe.Recipe`."""

    threads: int = Field(default=1, ge=1, le=1024)
    """Threads of torch; weights are bit-identical for one number only."""

    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Time budget; the training stops after the step that exceeds it. None for no limit."""

    def rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        total = self.epochs * steps_per_epoch
        warmup = min(round(self.warmup_epochs * steps_per_epoch), total // 2)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        progress = (step - warmup) / max(1, total - warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


@final
class Diverged(Exception):
    """A loss that is not finite or far above guessing; a signal, never seen by callers."""

    def __init__(self, value: float, step: int) -> None:
        super().__init__(value, step)
        self.value = value
        self.step = step


class AbstractLoop(abc.ABC):
    """One supernet training.

    Args:
        supernet: Trained in place, on the device it is on.
        part: Images that train the weights.
        config: Settings.
        seed: Of batches and draws.

    Raises:
        DataError: If the part is empty.
        ConfigError: If a step has fewer images than batch norm needs.
    """

    def __init__(
        self, supernet: Supernet, part: DataPart, config: AbstractLoopConfig, *, seed: int
    ) -> None:
        if len(part) == 0:
            raise DataError(
                "There are 0 images to train the supernet on.",
                fix="Give the weights' part a share above 0.",
            )
        check_batch(min(len(part), config.batch_size), len(part), config.batch_size)
        self.supernet = supernet
        self.config = config
        self.seed = seed
        self.device = supernet.weights.anchor.device
        self.batches = Batches(part, config.batch_size, self.device, config.augmentation)
        self.optimizer = SliceSgd(supernet.weights, config.momentum, config.weight_decay)
        self.step = 0
        self.rate_factor = 1.0
        self.faults: tuple[Fault, ...] = ()
        self.losses: list[float] = []
        self._worst_loss = WORST_LOSS * math.log(max(2, supernet.num_classes))
        self._watched: list[Tensor] = []
        self._epoch_losses: list[float] = []
        self._turn = SharedTurn(None)
        self._paused_s = 0.0
        self._started = time.perf_counter()

    @abc.abstractmethod
    def train_step(self, images: Tensor, labels: Tensor, learning_rate: float) -> Tensor:
        """Update once; return the loss, NaN if a gradient was not finite."""

    def epoch_numbers(self) -> dict[str, float]:
        """Return the numbers of the epoch that ends, and start counting anew."""
        return {}

    def epoch_alarms(self, numbers: Mapping[str, float]) -> tuple[Alarm, ...]:
        """Return the alarms of an epoch's numbers, and take their remedies."""
        return ()

    def forget_epoch(self) -> None:
        """Drop what was counted in an epoch that is undone."""
        self.epoch_numbers()

    @property
    def recoveries(self) -> int:
        """Divergences so far."""
        return len(self.faults)

    def declared(self) -> dict[str, Any]:
        """Return plain values that a result must say of how the weights were trained.

        A checkpoint is only taken by a training that declares the same.
        """
        return {}

    def proposals(self) -> list[Decisions]:
        """Return members that the search is to try first, once the training is over."""
        return []

    def more_arrays(self) -> Checkpoint:
        """Return what the checkpoint holds beyond weights, momentum and progress."""
        return {}

    def load_more(self, checkpoint: Checkpoint) -> None:  # noqa: B027 - most have nothing more
        """Take what `more_arrays` gave."""

    @final
    def checkpoint(self) -> Checkpoint:
        """Return the state after the last step, from which a training goes on unchanged."""
        arrays: Checkpoint = {
            "stamp": pack(self._stamp()),
            "progress": np.array([self.step], dtype=np.int64),
            "rate_factor": np.array([self.rate_factor], dtype=np.float64),
            "faults": pack([fault.to_list() for fault in self.faults]),
        }
        arrays |= {f"weights/{key}": value for key, value in self.supernet.state_arrays().items()}
        arrays |= {f"momentum/{key}": value for key, value in self.optimizer.arrays().items()}
        return arrays | self.more_arrays()

    @final
    def restore(self, checkpoint: Checkpoint) -> Self:
        """Go back (or on) to a checkpoint.

        Raises:
            RunError: If it is no checkpoint of this training: of another space, of other settings
                or of another version.
        """
        check_stamp(checkpoint, self._stamp())
        self.supernet.load_arrays(below(checkpoint, "weights/"))
        self.optimizer.load_arrays(below(checkpoint, "momentum/"))
        self.step = int(checkpoint["progress"][0])
        self.rate_factor = float(checkpoint["rate_factor"][0])
        self.faults = tuple(Fault.of(values) for values in unpack(checkpoint["faults"]))
        self.load_more(checkpoint)
        return self

    def _stamp(self) -> dict[str, Any]:
        """Return what tells this training's checkpoints from others'."""
        return {
            "version": VERSION,
            "training": type(self).__name__,
            "space": f"{self.supernet.space.name} {self.supernet.space.fingerprint}",
            "input_shape": list(self.supernet.input_shape),
            "classes": self.supernet.num_classes,
            "seed": self.seed,
            **self.declared(),
        }

    @final
    def run(
        self, on_epoch: OnEpoch | None = None, should_stop: Callable[[], bool] | None = None
    ) -> TrainingResult:
        """Train until all epochs are done, or until told to stop.

        Raises:
            TrialError: Of kind `nonfinite` if the training diverges twice, `oom` if memory ends.
        """
        stop = should_stop or (lambda: False)
        finished = True
        accelerators = [self.device] if self.device.type == "cuda" else []
        with (
            memory_faults("supernet training"),
            deterministic_kernels(),
            torch.random.fork_rng(accelerators),
            use_threads(self.config.threads),
            working_on(self.device) as self._turn,
        ):
            self._started, self._paused_s = time.perf_counter(), 0.0
            self.supernet.train()
            while finished and self.step < self.config.epochs * self.batches.steps_per_epoch:
                finished = self._guarded_epoch(on_epoch, stop)
        return TrainingResult(
            self.step,
            tuple(self.losses),
            self._seconds(),
            finished,
            self.faults,
            self.declared(),
            tuple(self.proposals()) if finished else (),
        )

    def _guarded_epoch(self, on_epoch: OnEpoch | None, stop: Callable[[], bool]) -> bool:
        good = self.checkpoint()
        try:
            if not self._epoch(stop):
                return False
        except Diverged as fault:
            self._recover(good, fault)
            return True
        health = self._health()  # asked or not: what follows must not depend on who listens
        if on_epoch is not None:
            on_epoch(health, self.checkpoint)
        return True

    def _epoch(self, stop: Callable[[], bool]) -> bool:
        epoch, done = divmod(self.step, self.batches.steps_per_epoch)
        self._epoch_losses, self._watched = [], []
        for number, (images, labels) in enumerate(self._stream(epoch)):
            if number < done:
                continue  # trained before the interruption; drawn again to keep the generator
            if stop() or self._out_of_time():
                self._look()
                return False
            self._paused_s += self._turn.pause()
            rate = self.config.rate_at(self.step, self.batches.steps_per_epoch) * self.rate_factor
            torch.manual_seed(derive_seed(self.seed, "noise", self.step))  # of plugins' dropout
            self._watched.append(self.train_step(images, labels, rate))
            self.step += 1
            if self.device.type == "cpu" or len(self._watched) >= _CHECK_EVERY_ON_ACCELERATOR:
                self._look()
        self._look()
        self.losses.append(math.fsum(self._epoch_losses) / max(1, len(self._epoch_losses)))
        return True

    def _stream(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        return self.batches.epoch(self.seed, epoch)

    def _look(self) -> None:
        """Read the pending losses; on an accelerator this waits for the device."""
        if not self._watched:
            return
        for value in torch.stack(self._watched).tolist():
            if not value <= self._worst_loss:  # also true for NaN
                raise Diverged(value, self.step)
            self._epoch_losses.append(value)
        self._watched = []

    def _recover(self, good: Checkpoint, fault: Diverged) -> None:
        rate = self.config.learning_rate * self.rate_factor
        if self.faults:
            raise TrialError(
                f"The supernet diverged again at step {fault.step}: the loss is {fault.value:.4g}.",
                kind="nonfinite",
                where=f"supernet training, epoch {fault.step // self.batches.steps_per_epoch + 1}",
                why=f"Before: {self.faults[0].describe()}",
                fix="Lower supernet.training.learning_rate, or supernet.relaxation.learning_rate "
                "where it was relaxing, or look at the images for extreme values.",
            )
        self.restore(good)
        self.forget_epoch()
        self.rate_factor *= LOWER_RATE
        self.faults = (Fault(fault.step, fault.value, self.step, rate * LOWER_RATE),)
        _log.warning("supernet training: %s", self.faults[0].describe())

    def _health(self) -> EpochHealth:
        numbers = self.epoch_numbers()
        epoch = self.step // self.batches.steps_per_epoch
        alarms = [
            divergence(fault, self._worst_loss)
            for fault in self.faults
            if fault.back_to // self.batches.steps_per_epoch == epoch - 1
        ]
        return EpochHealth(
            epoch=epoch,
            epochs=self.config.epochs,
            step=self.step,
            loss=self.losses[-1],
            seconds=self._seconds(),
            faults=self.faults,
            # A run's log holds no NaN: one odd number must not cost a training that is fine.
            numbers={name: value for name, value in numbers.items() if math.isfinite(value)},
            alarms=(*alarms, *self.epoch_alarms(numbers)),
        )

    def _out_of_time(self) -> bool:
        budget = self.config.seconds
        return budget is not None and self._seconds() - self._paused_s > budget

    def _seconds(self) -> float:
        return time.perf_counter() - self._started


def check_batch(images: int, part_size: int, batch_size: int, why: str | None = None) -> None:
    """Refuse steps that batch norm cannot normalise.

    Args:
        images: That one member sees in a step, at least.
        part_size: Images there are to train on.
        batch_size: Images of a step, as configured.
        why: How it comes to so few.

    Raises:
        ConfigError: If they are fewer than 2.
    """
    if images < 2:
        raise ConfigError(
            f"A member would be trained on {images} image{'s' * (images != 1)} at a time; batch "
            "norm needs 2.",
            where="supernet.training.batch_size",
            why=why or f"There are {part_size} images to train on, {batch_size} per step.",
            fix="Raise the batch size, or give the weights' part more images.",
        )
