"""First-order bilevel training of weights and gates (DARTS, Liu et al. 2019, arXiv:1806.09055).

A step draws the joint choices, takes one gate step on images of the gates' part and one weight step
on images of the weights' part. Neither sees validation images: a wiring chosen on the images that
score it would look better than it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, cast, final

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from nas.errors import DataError
from nas.seeds import derive_seed
from nas.supernet.binding import Binder
from nas.supernet.health import (
    discretisation_gap,
    edge_share,
    gate_entropy,
    remedy,
    skip_share,
)
from nas.supernet.loop import (
    AbstractLoop,
    AbstractLoopConfig,
    Checkpoint,
    OnEpoch,
    TrainingResult,
)
from nas.supernet.mixing import Mixing, mix
from nas.supernet.optimizer import GateAdam
from nas.supernet.relaxation import Context, Relaxation
from nas.supernet.relaxed import relaxed_logits
from nas.supernet.supernet import Supernet
from nas.training.batches import Batches
from nas.training.device import reduced_precision
from nas.training.parts import DataPart, FiveParts

_log = logging.getLogger("nas")

Resource = Callable[[Relaxation, Context], Tensor]
"""A differentiable cost of the gates' probabilities, added to the gates' loss."""

BASELINE_DECAY = 0.9


@final
class RelaxationConfig(AbstractLoopConfig, frozen=True, extra="forbid"):
    """Settings of relaxed training."""

    level: Literal["bilevel", "one"] = "bilevel"
    """Gates on images of their own, or weights and gates in one pass on the weights' images."""

    gate_learning_rate: float = Field(default=0.02, gt=0, le=10, allow_inf_nan=False)
    """Learning rate of Adam on the logits."""

    gate_warmup_epochs: float = Field(default=2.0, ge=0, le=1000)
    """Epochs that train the weights alone: fresh weights say nothing about connections."""


@final
class GateBatches:
    """The gates' images by step, so that a resumed training reads the same ones."""

    def __init__(self, batches: Batches, seed: int) -> None:
        self.batches = batches
        self.seed = seed
        self._next = -1
        self._stream: Iterator[tuple[Tensor, Tensor]] = iter(())

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the batch of a step; asking in order is quick."""
        epoch, number = divmod(step, self.batches.steps_per_epoch)
        if step != self._next or number == 0:
            self._stream = self.batches.epoch(self.seed, epoch)
            for _ in range(number):
                next(self._stream)
        self._next = step + 1
        return next(self._stream)


@final
class RelaxedTraining(AbstractLoop):
    """Training of a supernet's weights and of a relaxation's gates, step by step."""

    def __init__(
        self,
        supernet: Supernet,
        relaxation: Relaxation,
        parts: FiveParts,
        config: RelaxationConfig,
        *,
        seed: int,
        resource: Resource | None = None,
    ) -> None:
        super().__init__(supernet, parts.weights, config, seed=seed)
        self.relaxed = config
        self.relaxation = relaxation
        self.resource = resource
        self.binder = Binder(supernet.space)
        self.adam = GateAdam(relaxation.logits, config.gate_learning_rate)
        self.baseline: float | None = None
        self.gate_batches = GateBatches(
            self._gate_part(parts.gates), derive_seed(seed, "gate images", 0)
        )
        self._last: tuple[Context, Mixing] | None = None

    def _gate_part(self, part: DataPart) -> Batches:
        if len(part) == 0 and self.relaxed.level == "bilevel":
            raise DataError(
                "There are 0 images to train the gates on.",
                why="Gates learn on images that neither train the weights nor score.",
                fix="Give the gates' part a share above 0, or use level 'one'.",
            )
        source = part if len(part) else self.batches.part
        return Batches(source, self.config.batch_size, self.device, self.config.augmentation)

    def train_step(self, images: Tensor, labels: Tensor, learning_rate: float) -> Tensor:
        """Update the gates, then the weights of one relaxed member."""
        rng = np.random.default_rng(derive_seed(self.seed, "context", self.step))
        context = self.relaxation.sample(rng)
        mixing = mix(self.supernet, self.binder, context)
        self._last = (context, mixing)
        gates_learn = self.step >= self.relaxed.gate_warmup_epochs * self.batches.steps_per_epoch
        bilevel = self.relaxed.level == "bilevel"
        watched = torch.zeros((), device=self.device)
        if gates_learn and bilevel:
            watched = self.gate_step(context, mixing, *self.gate_batches.at(self.step))
        together = gates_learn and not bilevel
        loss = self.weight_step(context, mixing, (images, labels), learning_rate, together)
        return loss + 0 * watched

    def gate_step(self, context: Context, mixing: Mixing, images: Tensor, labels: Tensor) -> Tensor:
        """Update the logits of a context on the gates' images; return the loss."""
        loss = self._loss(mixing, self.relaxation.values(context), images, labels)
        objective = self._gate_objective(context, loss)
        (gradient,) = torch.autograd.grad(objective, [self.relaxation.logits])
        self.adam.step(gradient, self.relaxation.touched(context))
        return loss.detach() + 0 * gradient.sum()

    def weight_step(
        self,
        context: Context,
        mixing: Mixing,
        batch: tuple[Tensor, Tensor],
        learning_rate: float,
        together: bool = False,
    ) -> Tensor:
        """Update the weights of a relaxed member, and with `together` its gates as well."""
        values = self.relaxation.values(context)
        if not together:
            values = {name: value.detach() for name, value in values.items()}
        loss = self._loss(mixing, values, *batch)
        self.optimizer.zero_grad()
        self.relaxation.logits.grad = cast(Tensor | None, None)
        objective = self._gate_objective(context, loss) if together else loss
        objective.backward()  # type: ignore[no-untyped-call]
        active = relaxed_slots(self.supernet, mixing)
        norm = self.optimizer.clip(active, self.config.gradient_clip)
        self.optimizer.step(active, learning_rate)
        if self.relaxation.logits.grad is not None:
            self.adam.step(self.relaxation.logits.grad, self.relaxation.touched(context))
        return loss.detach() + 0 * norm

    def _loss(
        self, mixing: Mixing, values: Mapping[str, Tensor], images: Tensor, labels: Tensor
    ) -> Tensor:
        with reduced_precision(self.device):
            logits = relaxed_logits(self.supernet, mixing, values, images)
        return F.cross_entropy(logits.float(), labels)

    def _gate_objective(self, context: Context, loss: Tensor) -> Tensor:
        """Return the loss, the score-function term of what was sampled, and the resource."""
        value = float(loss.detach())
        baseline = value if self.baseline is None else self.baseline
        self.baseline = BASELINE_DECAY * baseline + (1 - BASELINE_DECAY) * value
        advantage = value - baseline
        objective = loss + advantage * self.relaxation.log_probability(context)
        if self.resource is not None:
            objective = objective + self.resource(self.relaxation, context)
        return objective

    def epoch_numbers(self) -> dict[str, float]:
        """Return entropy, shares and the gap between mixture and members."""
        numbers = {
            "gate_entropy": gate_entropy(self.relaxation),
            "skip_share": skip_share(self.relaxation),
            "edge_share": edge_share(self.relaxation),
        }
        if self._last is not None:
            rng = np.random.default_rng(derive_seed(self.seed, "gap", self.step))
            context, mixing = self._last
            batch = self.gate_batches.at(self.step)
            numbers["mixture_loss"], numbers["gap"] = discretisation_gap(
                self.supernet, self.relaxation, mixing, context, batch, rng
            )
        advice = remedy(numbers)
        if advice is not None:
            _log.warning("the relaxation may be collapsing: %s", advice)
        return numbers

    def more_arrays(self) -> Checkpoint:
        """Return the logits, Adam's state and the baseline."""
        baseline = np.array([] if self.baseline is None else [self.baseline], dtype=np.float64)
        logits = self.relaxation.logits.detach().cpu().numpy().copy()
        return {"gates/logits": logits, "gates/baseline": baseline, **self.adam.arrays()}

    def load_more(self, checkpoint: Checkpoint) -> None:
        """Take logits, Adam's state and the baseline."""
        with torch.no_grad():
            self.relaxation.logits.copy_(torch.from_numpy(checkpoint["gates/logits"]))
        baseline = checkpoint["gates/baseline"]
        self.baseline = float(baseline[0]) if len(baseline) else None
        self.adam.load_arrays(checkpoint)


def relaxed_slots(supernet: Supernet, mixing: Mixing) -> dict[str, tuple[int, ...]]:
    """Return the slots a relaxed member reads, with the leading slice it reads of each."""
    shapes: dict[str, tuple[int, ...]] = {}
    program = mixing.program
    for use in (*program.uses, *mixing.uses, *supernet.head_uses(program)):
        known = shapes.get(use.key, use.shape)
        shapes[use.key] = tuple(max(pair) for pair in zip(known, use.shape, strict=True))
    return shapes


def train_relaxation(
    supernet: Supernet,
    relaxation: Relaxation,
    parts: FiveParts,
    config: RelaxationConfig | None = None,
    *,
    seed: int,
    resource: Resource | None = None,
    on_epoch: OnEpoch | None = None,
    should_stop: Callable[[], bool] | None = None,
    state: Checkpoint | None = None,
) -> tuple[TrainingResult, Checkpoint]:
    """Train weights and gates in place.

    Args:
        supernet: The shared weights, trained on mixtures; use others for ranking members.
        relaxation: The gates.
        parts: The data; only the weights' and the gates' parts are read.
        config: Settings.
        seed: Of batches and draws.
        resource: Added to the gates' loss.
        on_epoch: Called after each epoch with its health and a function that returns the
            checkpoint.
        should_stop: Asked before each step.
        state: Checkpoint to go on from.

    Returns:
        What was done, and the checkpoint after the last step.

    Raises:
        TrialError: If the training diverges twice, or memory runs out.
        DataError: If there are no images for the gates.
    """
    training = RelaxedTraining(
        supernet, relaxation, parts, config or RelaxationConfig(), seed=seed, resource=resource
    )
    if state is not None:
        training.restore(state)
    return training.run(on_epoch, should_stop), training.checkpoint()
