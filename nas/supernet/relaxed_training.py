"""Training of weights and gates together, put together from declared parts.

A step draws the joint choices, moves the gates on images of the gates' part and the weights on
images of the weights' part, in the way of the alternation. Neither sees validation images: a
wiring chosen on the images that score it would look better than it is.

Bilevel training: DARTS, Liu et al. 2019, arXiv:1806.09055.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import cast, final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.errors import BudgetError, DataError
from nas.seeds import derive_seed
from nas.space import Decisions
from nas.supernet.alternations import (
    ALTERNATIONS,
    AbstractAlternation,
    AbstractBilevel,
    Batch,
    Step,
)
from nas.supernet.binding import Binder
from nas.supernet.budgets.pruning import FoundMember
from nas.supernet.declared_parts import make_part
from nas.supernet.discretisations import DISCRETISATIONS, AbstractDiscretisation
from nas.supernet.gate_batches import GateBatches
from nas.supernet.health.alarms import Alarm, gate_alarms
from nas.supernet.health.gaps import loss_numbers
from nas.supernet.health.gate_health import Usage, gate_numbers
from nas.supernet.health.remedies import Remedies
from nas.supernet.loop import (
    AbstractLoop,
    AbstractLoopConfig,
    Checkpoint,
    OnEpoch,
    TrainingResult,
    below,
)
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.mixture import Mixing
from nas.supernet.mixtures.relaxed import relaxed_logits, relaxed_slots
from nas.supernet.optimizer import GateAdam
from nas.supernet.partials import PARTIALS
from nas.supernet.proposals import likeliest_members, trained
from nas.supernet.regularisers import REGULARISERS, AbstractRegulariser
from nas.supernet.relaxation import Context, GateValues, Relaxation
from nas.supernet.relaxation_config import RelaxationSettings
from nas.supernet.supernet import Supernet
from nas.supernet.training_rules import TRAINING_RULES, AbstractTrainingRule
from nas.training.batches import Batches
from nas.training.device import reduced_precision
from nas.training.parts import DataPart, FiveParts

_log = logging.getLogger("nas")

BASELINE_DECAY = 0.9


@final
class RelaxationConfig(RelaxationSettings, AbstractLoopConfig, frozen=True, extra="forbid"):
    """Settings of relaxed training, its length included."""


@final
class RelaxedTraining(AbstractLoop):
    """Training of a supernet's weights and of a relaxation's gates, step by step.

    Raises:
        DataError: If there are no images for the gates.
        ConfigError: If a part does not fit the space.
        NotFoundError: If a part is unknown.
    """

    def __init__(
        self,
        supernet: Supernet,
        relaxation: Relaxation,
        parts: FiveParts,
        config: RelaxationConfig,
        *,
        seed: int,
    ) -> None:
        super().__init__(supernet, parts.weights, config, seed=seed)
        self.relaxed = config
        self.relaxation = relaxation
        self.binder = Binder(supernet.space)
        self.adam = GateAdam(relaxation.logits, config.gate_learning_rate)
        self.baseline: float | None = None
        self.alternation: AbstractAlternation = make_part(
            ALTERNATIONS, config.alternation, "relaxation.alternation"
        )
        self.regularisers: list[AbstractRegulariser] = [
            make_part(REGULARISERS, line, f"relaxation.regularisers.{number}")
            for number, line in enumerate(config.regularisers)
        ]
        self.rules: list[AbstractTrainingRule] = [
            make_part(TRAINING_RULES, line, f"relaxation.rules.{number}")
            for number, line in enumerate(config.rules)
        ]
        self.portion = make_part(PARTIALS, config.partial, "relaxation.partial").portion()
        self.discretisation: AbstractDiscretisation = make_part(
            DISCRETISATIONS, config.discretisation, "relaxation.discretisation"
        )
        self.gate_batches = GateBatches(
            self._gate_part(parts.gates), derive_seed(seed, "gate images", 0)
        )
        self.weights_learn = not any(rule.freezes_weights for rule in self.rules)
        self.last: Step | None = None
        self.usage = Usage(relaxation)
        self.remedies = Remedies(self)
        for part in self.regularisers:
            part.prepare(supernet, relaxation)
        for rule in self.rules:
            rule.prepare(self)

    def _gate_part(self, part: DataPart) -> Batches:
        if len(part) == 0 and isinstance(self.alternation, AbstractBilevel):
            raise DataError(
                "There are 0 images to train the gates on.",
                why="Gates learn on images that neither train the weights nor score.",
                fix="Give the gates' part a share above 0, or use alternation 'one_level'.",
            )
        source = part if len(part) else self.batches.part
        return Batches(source, self.config.batch_size, self.device, self.config.augmentation)

    def train_step(self, images: Tensor, labels: Tensor, learning_rate: float) -> Tensor:
        """Update the gates, then the weights of one relaxed member."""
        step = self._step(images, labels, learning_rate)
        watched = torch.zeros((), device=self.device)
        if step.gates_learn and isinstance(self.alternation, AbstractBilevel):
            loss, gradient = self.alternation.gate_gradient(self, step)
            self._move_gates(step, gradient)
            watched = loss + gradient.sum()
        loss = self.weight_step(step)
        for rule in self.rules:
            rule.after_step(self, step)
        return loss + 0 * watched

    def _step(self, images: Tensor, labels: Tensor, learning_rate: float) -> Step:
        progress = self._progress(self.step)
        self.relaxation.temperature = self.relaxed.temperature.at(progress)
        self.relaxation.exploration = self.remedies.exploration(self.step)
        rng = np.random.default_rng(derive_seed(self.seed, "context", self.step))
        context = self.relaxation.sample(rng)
        mixing = mix(self.supernet, self.binder, context, self.portion)
        self.last = Step(
            number=self.step,
            context=context,
            mixing=mixing,
            batch=(images, labels),
            learning_rate=learning_rate if self.weights_learn else 0.0,
            progress=progress,
            gates_learn=self.step >= self._warmup and not self.remedies.resting(self.step),
        )
        return self.last

    @property
    def _warmup(self) -> float:
        """Steps before the gates move."""
        return self.relaxed.gate_warmup_epochs * self.batches.steps_per_epoch

    def _progress(self, step: int) -> float:
        """Return the share of the gates' steps that lie before a step, from 0 to 1."""
        last = self.config.epochs * self.batches.steps_per_epoch - 1
        return min(1.0, max(0.0, (step - self._warmup) / max(1.0, last - self._warmup)))

    def noise(self, step: Step) -> torch.Generator:
        """Return where the gate samplers of a step draw from; the same at every call."""
        seed = derive_seed(self.seed, "gate noise", step.number)
        return torch.Generator(device=self.device).manual_seed(seed)

    def values(self, step: Step) -> dict[str, Tensor]:
        """Return the gate values of a step, differentiable; the same draws at every call."""
        return self.relaxation.values(step.context, self.noise(step))

    def gate_images(self, step: Step) -> Batch:
        """Return the batch of the gates' part that belongs to a step."""
        return self.gate_batches.at(step.number)

    def _move_gates(self, step: Step, gradient: Tensor) -> None:
        if self.relaxed.gate_weight_decay:
            logits = self.relaxation.logits.detach()
            gradient = gradient + self.relaxed.gate_weight_decay * logits
        self.adam.learning_rate = self.relaxed.gate_learning_rate * self.remedies.rate_factor
        self.adam.step(gradient, self.relaxation.touched(step.context))

    def weight_step(self, step: Step) -> Tensor:
        """Update the weights of a relaxed member, and its gates where both learn together."""
        together = step.gates_learn and not isinstance(self.alternation, AbstractBilevel)
        values: GateValues = self.values(step)
        if step.gates_learn:
            self.usage.add(self.relaxation, step.context, values)
        if not together:
            values = {name: value.detach() for name, value in values.items()}
            if not self.weights_learn:
                with torch.no_grad():
                    return self.loss(step.mixing, values, step.batch)
        logits = self.logits(step.mixing, values, step.batch[0])
        loss = F.cross_entropy(logits, step.batch[1])
        objective = self.gate_objective(step, loss) if together else loss
        for rule in self.rules:
            term = rule.weight_loss(self, step, logits)
            objective = objective if term is None else objective + term
        self.optimizer.zero_grad()
        self.relaxation.logits.grad = cast(Tensor | None, None)
        objective.backward()  # type: ignore[no-untyped-call]
        active = self.active(step)
        norm = self.optimizer.clip(active, self.config.gradient_clip)
        self.optimizer.step(active, step.learning_rate)
        if self.relaxation.logits.grad is not None:
            self._move_gates(step, self.relaxation.logits.grad)
        return loss.detach() + 0 * norm

    def active(self, step: Step) -> dict[str, tuple[int, ...]]:
        """Return the slots that a step reads, with the leading slice it reads of each."""
        return relaxed_slots(self.supernet, step.mixing)

    def logits(
        self, mixing: Mixing, values: GateValues, images: Tensor, *, plain: bool = False
    ) -> Tensor:
        """Return the logits of a relaxed member, in float32 at least.

        Args:
            mixing: The relaxed member.
            values: Of its gates.
            images: `(batch, *input_shape)`.
            plain: Whether to leave out state buffers, for second derivatives.
        """
        with reduced_precision(self.device):
            logits = relaxed_logits(self.supernet, mixing, values, images, plain=plain)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def loss(
        self, mixing: Mixing, values: GateValues, batch: Batch, *, plain: bool = False
    ) -> Tensor:
        """Return the cross-entropy of a relaxed member, in nats."""
        return F.cross_entropy(self.logits(mixing, values, batch[0], plain=plain), batch[1])

    def gate_objective(self, step: Step, loss: Tensor) -> Tensor:
        """Return the loss, the terms on the gates, and the score function of what was sampled.

        What was sampled learns from loss and terms together: a depth is charged for its cost.
        """
        objective = loss
        for part in self.regularisers:
            factor = part.factor(step.progress)
            if factor:
                objective = objective + factor * part.term(self.relaxation, step.context)
        for rule in self.rules:
            term = rule.gate_loss(self, step)
            objective = objective if term is None else objective + term
        value = float(objective.detach())
        baseline = value if self.baseline is None else self.baseline
        self.baseline = BASELINE_DECAY * baseline + (1 - BASELINE_DECAY) * value
        advantage = value - baseline
        return objective + advantage * self.relaxation.log_probability(step.context)

    def preferred(self, count: int, rng: np.random.Generator) -> list[Decisions]:
        """Return the most probable members, discretised as declared, best first.

        Args:
            count: How many; fewer come back if the space does not hold that many.
            rng: Draws the contexts.
        """
        found = likeliest_members(self.relaxation, count, rng, self._settle_if_possible)
        # Where no context fits a budget, the error of the likeliest one says what is missing.
        return found or [self.settle(self.relaxation.likeliest())]

    def _settle_if_possible(self, context: Context) -> Decisions | None:
        try:
            return self.settle(context)
        except BudgetError:
            return None

    def settle(self, context: Context) -> Decisions:
        """Return the member of a context that the gates stand for, discretised as declared."""
        return self.discretisation.settle(trained(self), context)

    @property
    def found(self) -> list[FoundMember]:
        """Members that the rules found on the way, in order."""
        return [member for rule in self.rules for member in rule.found]

    @property
    def front(self) -> list[FoundMember]:
        """Those of them that no other of the same rule beats, cheapest first."""
        return [member for rule in self.rules for member in rule.front]

    def epoch_numbers(self) -> dict[str, float]:
        """Return the gates' health, the mixture's against members', and the rules' numbers."""
        self.relaxation.exploration = 0.0
        numbers = gate_numbers(self.relaxation, self.usage) | loss_numbers(self)
        for rule in self.rules:
            numbers |= rule.after_epoch(self)
        return numbers

    def epoch_alarms(self, numbers: Mapping[str, float]) -> tuple[Alarm, ...]:
        """Return what the gates' health raises, and take the remedies if they are wanted.

        After the last epoch there is no time left for one.
        """
        last = self.step >= self.config.epochs * self.batches.steps_per_epoch
        alarms = gate_alarms(numbers, remedies=self.relaxed.remedies and not last)
        for alarm in alarms:
            _log.warning("relaxation, step %d: %s", self.step, alarm.describe())
        self.remedies.watch(numbers)
        self.remedies.take(alarms)
        return alarms

    def forget_epoch(self) -> None:
        """Nothing: what is counted came back with the snapshot, and rules must not act."""

    def more_arrays(self) -> Checkpoint:
        """Return the gates, Adam's state, the baseline and what the rules remember."""
        baseline = np.array([] if self.baseline is None else [self.baseline], dtype=np.float64)
        found: Checkpoint = {
            "gates/logits": self.relaxation.logits.detach().cpu().numpy().copy(),
            "gates/open": self.relaxation.open.cpu().numpy().copy(),
            "gates/baseline": baseline,
            **self.usage.arrays(),
            **self.remedies.arrays(),
            **self.adam.arrays(),
        }
        for number, rule in enumerate(self.rules):
            found |= {f"rules/{number}/{name}": value for name, value in rule.arrays().items()}
        return found

    def load_more(self, checkpoint: Checkpoint) -> None:
        """Take what `more_arrays` gave."""
        with torch.no_grad():
            self.relaxation.logits.copy_(torch.from_numpy(checkpoint["gates/logits"]))
            self.relaxation.open.copy_(torch.from_numpy(checkpoint["gates/open"]))
        # What settles right behind a restored training reads gates as its last step left them.
        self.relaxation.temperature = self.relaxed.temperature.at(
            self._progress(max(0, self.step - 1))
        )
        baseline = checkpoint["gates/baseline"]
        self.baseline = float(baseline[0]) if len(baseline) else None
        self.adam.load_arrays(checkpoint)
        self.usage.load_arrays(checkpoint)
        self.remedies.load_arrays(checkpoint)
        for number, rule in enumerate(self.rules):
            rule.load_arrays(below(checkpoint, f"rules/{number}/"))


def make_relaxation(supernet: Supernet, config: RelaxationSettings) -> Relaxation:
    """Return fresh gates as a config declares them, on the supernet's device."""
    partial = make_part(PARTIALS, config.partial, "relaxation.partial")
    relaxation = Relaxation(
        supernet.space,
        operations=config.operations,
        options=config.gates.options,
        edges=config.gates.edges,
        edge_strengths=partial.portion().edge_strengths,
    )
    return relaxation.to(supernet.weights.anchor.device)


def train_relaxation(
    supernet: Supernet,
    relaxation: Relaxation,
    parts: FiveParts,
    config: RelaxationConfig | None = None,
    *,
    seed: int,
    on_epoch: OnEpoch | None = None,
    should_stop: Callable[[], bool] | None = None,
    state: Checkpoint | None = None,
) -> tuple[TrainingResult, RelaxedTraining]:
    """Train weights and gates in place.

    Args:
        supernet: The shared weights, trained on mixtures; use others for ranking members.
        relaxation: The gates, from `make_relaxation`.
        parts: The data; only the weights' and the gates' parts are read.
        config: Settings.
        seed: Of batches and draws.
        on_epoch: Called after each epoch with its health and a function that returns the
            checkpoint.
        should_stop: Asked before each step.
        state: Checkpoint to go on from.

    Returns:
        What was done, and the training after its last step: its checkpoint, its preferred members.

    Raises:
        TrialError: If the training diverges twice, or memory runs out.
        DataError: If there are no images for the gates.
        ConfigError: If a part does not fit the space.
    """
    training = RelaxedTraining(supernet, relaxation, parts, config or RelaxationConfig(), seed=seed)
    if state is not None:
        training.restore(state)
    return training.run(on_epoch, should_stop), training
