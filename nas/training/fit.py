"""The one fit loop: every stand-alone training of this package runs through `Training`.

It is short enough to read whole, and deterministic: weights depend on the starting weights, the
data, the recipe, the seed and the number of threads, and on nothing else, neither on how often the
training was left and gone on with. The module arrives built and initialised; its initial weights
are the caller's seed, not this one's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, Self, final

import torch
from torch import Tensor, nn

from nas.errors import ConfigError, DataError, RunError
from nas.model.network import Network
from nas.model.path_masks import PathMasks
from nas.seeds import derive_seed
from nas.training.averaging import WeightAverage
from nas.training.batches import Batches
from nas.training.device import deterministic_kernels, memory_format, reduced_precision
from nas.training.device_lock import SharedTurn, working_on
from nas.training.faults import memory_faults, nonfinite
from nas.training.fit_state import (
    FitState,
    Noise,
    check_stamp,
    load_module,
    module_arrays,
    stamp,
    surroundings,
)
from nas.training.mixing import Targets, mix
from nas.training.optimizers import load_optimizer, make_optimizer, optimizer_arrays
from nas.training.parts import DataPart
from nas.training.path_dropper import path_dropper
from nas.training.path_rates import rate_factor
from nas.training.recipe import Recipe

_CHECK_EVERY_ON_ACCELERATOR = 20


@final
@dataclass(frozen=True)
class EpochReport:
    """Progress after one epoch.

    Args:
        epoch: Epochs done, from 1.
        epochs: Epochs in all.
        loss: Mean training loss of the epoch in nats.
        seconds: Wall-clock time since the training began.
    """

    epoch: int
    epochs: int
    loss: float
    seconds: float


@final
@dataclass(frozen=True)
class FitResult:
    """What a training did.

    Args:
        epochs: Epochs completed.
        steps: Weight updates.
        losses: Mean training loss of each completed epoch, in nats.
        seconds: Wall-clock time.
        stopped: Whether `should_stop` ended it early.
        recipe_hash: Hash of the recipe used.
    """

    epochs: int
    steps: int
    losses: tuple[float, ...]
    seconds: float
    stopped: bool
    recipe_hash: str


class StateKeeper(Protocol):
    """Keeps where a training stands while it goes on."""

    def is_due(self) -> bool:
        """Tell whether it is time to keep a state; asked after every step."""

    def keep(self, state: Callable[[], FitState]) -> object:
        """Keep what `state` returns."""


def fit(
    module: nn.Module,
    part: DataPart,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[EpochReport], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> FitResult:
    """Train a classifier in place and leave it in eval mode on `device`.

    Args:
        module: From images `(batch, channels, height, width)` to logits `(batch, classes)`.
        part: Training images.
        recipe: How to train.
        seed: Decides batches, augmentation and noise inside the module (dropout, drop-path).
        device: Where to train; see `resolve_device`.
        on_epoch: Called after each epoch.
        should_stop: Asked before each step; True ends the training.

    Raises:
        TrialError: Of kind `nonfinite` with epoch and step when the loss is not finite, of kind
            `oom` when memory runs out.
        DataError: If the part is empty.
        ConfigError: If the recipe asks for something of the wiring and the module is no `Network`.
    """
    training = Training(module, part, recipe, seed=seed, device=device)
    return training.run(on_epoch, should_stop)


@final
class Training:
    """One training, epoch by epoch; it can be left after any step and gone on with elsewhere.

    Arguments and errors are those of `fit`.
    """

    def __init__(
        self,
        module: nn.Module,
        part: DataPart,
        recipe: Recipe,
        *,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        if len(part) == 0:
            raise DataError(
                "There are 0 images to train on.", fix="Give this part a share above 0."
            )
        self.module, self.recipe, self.seed = module, recipe, seed
        self.device = torch.device(device)
        self.steps = 0
        self.losses: list[float] = []
        self._stamp = stamp(module, part, recipe, seed)
        self._epoch_losses: list[float] = []
        self._seconds_before, self._started = 0.0, time.perf_counter()
        self._dropper = path_dropper(recipe.path_dropping, module, seed)
        self._rate_factor = 1.0
        if recipe.learning_rate_rule != "fixed":
            network = _network(module, "learning_rate_rule")
            self._rate_factor = rate_factor(network.architecture, recipe.learning_rate_rule)
        self._exits = _network(module, "exit_weight") if recipe.exit_weight else None
        with self._at_work():
            # torch accepts both at once, but its stubs do not say so.
            module.to(self.device, memory_format=memory_format(self.device))  # type: ignore[call-overload]
            self._batches = Batches(part, recipe.batch_size, self.device, recipe.augmentation)
            self._noise = Noise.seeded(derive_seed(seed, "noise", 0), self.device)
        self._total_steps = recipe.epochs * self._batches.steps_per_epoch
        self._optimizer = make_optimizer(module, recipe)
        self._average = None
        if recipe.averaging != "none":
            self._average = WeightAverage(module, recipe, self._total_steps)

    @property
    def surroundings(self) -> dict[str, Any]:
        """What besides the training itself decides its bits."""
        return surroundings(self.device)

    @property
    def epochs_done(self) -> int:
        """Epochs that are over."""
        return self.steps // self._batches.steps_per_epoch

    @property
    def is_done(self) -> bool:
        """Whether all epochs are over."""
        return self.steps == self._total_steps

    def epoch(
        self,
        should_stop: Callable[[], bool] | None = None,
        keeper: StateKeeper | None = None,
    ) -> EpochReport | None:
        """Train to the end of the epoch; return None if `should_stop` ended it before.

        Args:
            should_stop: Asked before each step.
            keeper: Given the state after a step, as often as it wants it.

        Raises:
            TrialError: As `fit`.
        """
        number, done = divmod(self.steps, self._batches.steps_per_epoch)
        watch = _LossWatch(number, self.device, self._epoch_losses)
        with self._at_work(self._noise) as turn:
            self.module.train()
            # What was trained on before is drawn again, to bring the generator to where it was.
            for images, labels in islice(self._batches.epoch(self.seed, number), done, None):
                if should_stop is not None and should_stop():
                    break
                turn.pause()
                watch.add(self._step(images, labels))
                self.steps += 1
                # The last step of an epoch is told with its end, below.
                if keeper and self.steps % self._batches.steps_per_epoch and keeper.is_due():
                    self._epoch_losses, self._noise = watch.read(), Noise.now(self.device)
                    keeper.keep(self.state)
            self._noise = Noise.now(self.device)
        self._epoch_losses = watch.read()
        if self.steps < (number + 1) * self._batches.steps_per_epoch:
            return None
        self.losses.append(math.fsum(self._epoch_losses) / len(self._epoch_losses))
        self._epoch_losses = []
        if keeper and keeper.is_due():
            keeper.keep(self.state)
        return EpochReport(number + 1, self.recipe.epochs, self.losses[-1], self._seconds())

    def run(
        self,
        on_epoch: Callable[[EpochReport], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        keeper: StateKeeper | None = None,
    ) -> FitResult:
        """Train what is left and finish; other arguments and errors are those of `fit`.

        Args:
            on_epoch: As there.
            should_stop: As there.
            keeper: Given the state now and then, and when `should_stop` ends the training.
        """
        while not self.is_done:
            report = self.epoch(should_stop, keeper)
            if report is None:
                if keeper is not None:
                    keeper.keep(self.state)
                break
            if on_epoch is not None:
                on_epoch(report)
        return self.finish()

    def finish(self) -> FitResult:
        """Put the averaged weights in place, if there are any, and the module in eval mode.

        The state of the training is gone then.
        """
        if self._average is not None:
            with self._at_work(self._noise):
                self._average.finish(self._batches.epoch(self.seed, self.recipe.epochs))
        self.module.eval()
        return FitResult(
            epochs=len(self.losses),
            steps=self.steps,
            losses=tuple(self.losses),
            seconds=self._seconds(),
            stopped=not self.is_done,
            recipe_hash=self.recipe.recipe_hash,
        )

    def state(self) -> FitState:
        """Return where the training stands; an equal one that restores it ends with equal bits."""
        arrays = {f"module/{name}": array for name, array in module_arrays(self.module).items()}
        remembered = optimizer_arrays(self._optimizer, self.module)
        arrays |= {f"optimizer/{name}": array for name, array in remembered.items()}
        arrays |= {f"noise/{name}": array for name, array in self._noise.arrays().items()}
        facts = {
            "stamp": self._stamp,
            "surroundings": self.surroundings,
            "steps": self.steps,
            "losses": list(self.losses),
            "epoch_losses": list(self._epoch_losses),
            "seconds": self._seconds(),
        }
        if self._average is not None:
            averages = self._average.arrays()
            arrays |= {f"average/{name}": array for name, array in averages.items()}
            facts["averaged"] = self._average.taken
        return FitState(arrays, facts)

    def restore(self, state: FitState) -> Self:
        """Go on (or back) to a state of an equal training.

        Raises:
            RunError: If it is the state of another one; this one stands then where it stood.
        """
        check_stamp(state, self._stamp, self.surroundings)
        before = self.state()
        try:
            return self._load(state)
        except (KeyError, TypeError, ValueError) as error:
            self._load(before)
            raise RunError(
                f"The state is not whole: {type(error).__name__}: {error}.",
                fix="Start the training anew, or give the state that belongs to it.",
            ) from error
        except RunError:
            self._load(before)
            raise

    def _load(self, state: FitState) -> Self:
        load_module(self.module, state.below("module/"))
        load_optimizer(self._optimizer, self.module, state.below("optimizer/"))
        if self._average is not None:
            self._average.load(int(state.facts["averaged"]), state.below("average/"))
        self._noise = Noise.of(state.below("noise/"))
        self.steps = int(state.facts["steps"])
        self.losses = [float(loss) for loss in state.facts["losses"]]
        if not 0 <= self.steps <= self._total_steps or self.epochs_done != len(self.losses):
            raise ValueError(f"{self.steps} steps, {len(self.losses)} epochs")
        self._epoch_losses = [float(loss) for loss in state.facts["epoch_losses"]]
        self._seconds_before = float(state.facts["seconds"])
        self._started = time.perf_counter()
        return self

    @contextmanager
    def _at_work(self, noise: Noise | None = None) -> Iterator[SharedTurn]:
        """Have the device, shared, and generators that are put back afterwards."""
        cuda = [self.device] if self.device.type == "cuda" else []
        with (
            memory_faults("training"),
            deterministic_kernels(),
            torch.random.fork_rng(cuda),
            working_on(self.device) as turn,
        ):
            if noise is not None:
                noise.apply(self.device)
            yield turn

    def _step(self, images: Tensor, labels: Tensor) -> Tensor:
        rate = self.recipe.learning_rate_at(self.steps, self._batches.steps_per_epoch)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * self._rate_factor
        images, targets = mix(images, labels, self.recipe.mixup, self.seed, self.steps)
        loss = self._loss(images, targets)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.recipe.gradient_clip)
        self._optimizer.step()
        if self._average is not None:
            self._average.add(self.steps)
        return loss.detach()

    def _loss(self, images: Tensor, targets: Targets) -> Tensor:
        masks: tuple[PathMasks, ...] = ()  # other modules than networks take no masks
        if self._dropper is not None:
            progress = self.steps / self._total_steps
            masks = (self._dropper.masks(self.steps, progress, len(images), self.device),)
        with reduced_precision(self.device):
            if self._exits is None:
                outputs = [self.module(images, *masks)]
            else:
                outputs = self._exits.exit_logits(images, *masks)
        losses = [targets.loss(logits, self.recipe.label_smoothing) for logits in outputs]
        return losses[-1] + self.recipe.exit_weight * sum(losses[:-1])

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._started


def _network(module: nn.Module, setting: str) -> Network:
    """Return a module of which a recipe asks something that only a network has."""
    if not isinstance(module, Network):
        raise ConfigError(
            f"The recipe sets '{setting}', but a {type(module).__name__} has no known wiring.",
            fix=f"Train a nas.model.network.Network, or leave {setting} out of the recipe.",
        )
    return module


class _LossWatch:
    """Collects the losses of an epoch and stops at the first that is not finite.

    On an accelerator it looks only every few steps: reading a loss waits for the device.
    """

    def __init__(self, epoch: int, device: torch.device, seen: list[float]) -> None:
        self.epoch = epoch
        self.every = 1 if device.type == "cpu" else _CHECK_EVERY_ON_ACCELERATOR
        self.pending: list[Tensor] = []
        self.seen = list(seen)

    def add(self, loss: Tensor) -> None:
        self.pending.append(loss)
        if len(self.pending) >= self.every:
            self._look()

    def read(self) -> list[float]:
        """Return the losses of the epoch so far."""
        self._look()
        return self.seen

    def _look(self) -> None:
        if not self.pending:
            return
        for loss in torch.stack(self.pending).tolist():
            if not math.isfinite(loss):
                place = f"epoch {self.epoch + 1}, step {len(self.seen) + 1}"
                raise nonfinite("training loss", loss, where=place)
            self.seen.append(loss)
        self.pending.clear()
