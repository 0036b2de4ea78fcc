"""The one fit loop: every stand-alone training of this package runs through `fit`.

It is short enough to read whole, and deterministic: weights depend on the starting weights, the
data, the recipe, the seed and the number of threads, and on nothing else. The module arrives built
and initialised; its initial weights are the caller's seed, not this one's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from nas.errors import ConfigError, DataError
from nas.model.merges import AbstractDeclaredMerge
from nas.model.network import Network
from nas.model.path_masks import PathMasks
from nas.seeds import derive_seed
from nas.training.averaging import WeightAverage
from nas.training.batches import Batches
from nas.training.device import deterministic_kernels, memory_format, reduced_precision
from nas.training.device_lock import SharedTurn, working_on
from nas.training.faults import memory_faults, nonfinite
from nas.training.mixing import Targets, mix
from nas.training.parts import DataPart
from nas.training.path_dropper import path_dropper
from nas.training.path_rates import rate_factor
from nas.training.recipe import Recipe

_GATE_NAMES = frozenset({"gate", "gates", "gate_logits"})
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
    if len(part) == 0:
        raise DataError("There are 0 images to train on.", fix="Give this part a share above 0.")
    target = torch.device(device)
    training = _Training(module, recipe, target, seed)
    cuda = [target] if target.type == "cuda" else []
    with (
        memory_faults("training"),
        deterministic_kernels(),
        torch.random.fork_rng(cuda),
        working_on(target) as training.turn,
    ):
        training.started = time.perf_counter()
        # torch accepts both at once, but its stubs do not say so.
        module.to(target, memory_format=memory_format(target))  # type: ignore[call-overload]
        batches = Batches(part, recipe.batch_size, target, recipe.augmentation)
        training.run(batches, on_epoch, should_stop or (lambda: False))
    module.eval()
    return training.result()


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Return two optimiser groups: kernels and matrices with decay; norms, biases, gates without.

    A decayed norm scale or gate is pulled to zero for no loss in front of another norm, which says
    nothing about the connection.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    merges = [part for part in module.modules() if isinstance(part, AbstractDeclaredMerge)]
    scaling = {id(number) for part in merges for number in part.gates()}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            gate = name.rpartition(".")[2] in _GATE_NAMES or id(parameter) in scaling
            (free if parameter.ndim < 2 or gate else decayed).append(parameter)
    groups: list[dict[str, object]] = []
    if decayed:
        groups.append({"params": decayed, "weight_decay": weight_decay})
    if free:
        groups.append({"params": free, "weight_decay": 0.0})
    return groups


def make_optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the module's parameters."""
    groups = parameter_groups(module, recipe.weight_decay)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999))
    return torch.optim.SGD(
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
    )


class _Training:
    """State of one training: counters, optimiser, losses, and what the recipe adds to a step."""

    def __init__(self, module: nn.Module, recipe: Recipe, device: torch.device, seed: int) -> None:
        self.module = module
        self.recipe = recipe
        self.device = device
        self.seed = seed
        self.steps = 0
        self.total_steps = 1
        self.losses: list[float] = []
        self.stopped = False
        self.turn = SharedTurn(None)
        self.started = time.perf_counter()
        self.dropper = path_dropper(recipe.path_dropping, module, seed)
        self.rate_factor = 1.0
        if recipe.learning_rate_rule != "fixed":
            network = _network(module, "learning_rate_rule")
            self.rate_factor = rate_factor(network.architecture, recipe.learning_rate_rule)
        self.exits = None
        if recipe.exit_weight:
            self.exits = _network(module, "exit_weight")

    def run(
        self,
        batches: Batches,
        on_epoch: Callable[[EpochReport], None] | None,
        should_stop: Callable[[], bool],
    ) -> None:
        torch.manual_seed(derive_seed(self.seed, "noise", 0))
        optimizer = make_optimizer(self.module, self.recipe)
        self.total_steps = max(1, self.recipe.epochs * batches.steps_per_epoch)
        average = None
        if self.recipe.averaging != "none":
            average = WeightAverage(self.module, self.recipe, self.total_steps)
        self.module.train()
        for epoch in range(self.recipe.epochs):
            stream = batches.epoch(self.seed, epoch)
            loss = self._epoch(epoch, stream, batches, optimizer, average, should_stop)
            if loss is None:
                self.stopped = True
                break
            self.losses.append(loss)
            if on_epoch is not None:
                on_epoch(EpochReport(epoch + 1, self.recipe.epochs, loss, self._seconds()))
        if average is not None:
            average.finish(batches.epoch(self.seed, self.recipe.epochs))

    def _epoch(
        self,
        epoch: int,
        stream: Iterable[tuple[Tensor, Tensor]],
        batches: Batches,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage | None,
        should_stop: Callable[[], bool],
    ) -> float | None:
        """Run one epoch and return its mean loss, or None when it was stopped."""
        watch = _LossWatch(epoch, self.device)
        for images, labels in stream:
            if should_stop():
                return None
            self.turn.pause()
            rate = self.recipe.learning_rate_at(self.steps, batches.steps_per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate * self.rate_factor
            watch.add(self._step(images, labels, optimizer))
            if average is not None:
                average.add(self.steps)
            self.steps += 1
        return watch.mean()

    def _step(self, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
        images, targets = mix(images, labels, self.recipe.mixup, self.seed, self.steps)
        loss = self._loss(images, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.recipe.gradient_clip)
        optimizer.step()
        return loss.detach()

    def _loss(self, images: Tensor, targets: Targets) -> Tensor:
        masks: tuple[PathMasks, ...] = ()  # other modules than networks take no masks
        if self.dropper is not None:
            progress = self.steps / self.total_steps
            masks = (self.dropper.masks(self.steps, progress, len(images), self.device),)
        with reduced_precision(self.device):
            if self.exits is None:
                outputs = [self.module(images, *masks)]
            else:
                outputs = self.exits.exit_logits(images, *masks)
        losses = [targets.loss(logits, self.recipe.label_smoothing) for logits in outputs]
        return losses[-1] + self.recipe.exit_weight * sum(losses[:-1])

    def _seconds(self) -> float:
        return time.perf_counter() - self.started

    def result(self) -> FitResult:
        return FitResult(
            epochs=len(self.losses),
            steps=self.steps,
            losses=tuple(self.losses),
            seconds=self._seconds(),
            stopped=self.stopped,
            recipe_hash=self.recipe.recipe_hash,
        )


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

    def __init__(self, epoch: int, device: torch.device) -> None:
        self.epoch = epoch
        self.every = 1 if device.type == "cpu" else _CHECK_EVERY_ON_ACCELERATOR
        self.pending: list[Tensor] = []
        self.seen: list[float] = []

    def add(self, loss: Tensor) -> None:
        self.pending.append(loss)
        if len(self.pending) >= self.every:
            self._look()

    def mean(self) -> float:
        self._look()
        return math.fsum(self.seen) / len(self.seen)

    def _look(self) -> None:
        if not self.pending:
            return
        for loss in torch.stack(self.pending).tolist():
            if not math.isfinite(loss):
                place = f"epoch {self.epoch + 1}, step {len(self.seen) + 1}"
                raise nonfinite("training loss", loss, where=place)
            self.seen.append(loss)
        self.pending.clear()
