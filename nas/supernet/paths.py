"""Path training: a step trains the members its sampler says, by default one drawn uniformly.

Every question of the space is answered by members, never by mixtures: weights trained on mixtures
do not rank members. Which members, and on what, is the sampler's (`nas.supernet.path_samplers`);
how a lesson becomes a gradient stands here. Gradients of a step's lessons add up with the lessons'
weights before the weights move, and what no lesson read keeps its value and its momentum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from nas.errors import ConfigError
from nas.model.network import Network
from nas.seeds import derive_seed
from nas.space import Decisions
from nas.supernet.auto_sharing import AutoSharing
from nas.supernet.blocks import BlockTeacher
from nas.supernet.checkpoints import Checkpoint, below, pack, unpack
from nas.supernet.declared_parts import PartDeclaration, make_part
from nas.supernet.footprints import Footprint, Shape, joined
from nas.supernet.health.gaps import path_agreement
from nas.supernet.loop import (
    AbstractLoop,
    AbstractLoopConfig,
    OnEpoch,
    TrainingResult,
    check_batch,
)
from nas.supernet.member_sizes import MemberSizes
from nas.supernet.path_samplers import (
    PATH_SAMPLERS,
    WHERE,
    AbstractPathSampler,
    Lesson,
    Moment,
    Scene,
)
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture
from nas.training.device import reduced_precision
from nas.training.parts import DataPart, FiveParts
from nas.zero_cost.base import ZERO_COST

Predictor = Callable[[Decisions], float]
"""From a member to its predicted loss."""


@final
class PathConfig(AbstractLoopConfig, frozen=True, extra="forbid"):
    """Settings of path training."""

    sampler: PartDeclaration = "uniform"
    """Path sampler: its name, or a mapping with `name` and its options."""

    distillation: float = Field(default=0.0, ge=0, le=1)
    """Share of the loss against the largest member's soft labels; the rest is against labels."""


@final
class PathTraining(AbstractLoop):
    """Path training of a supernet, step by step; `train_paths` runs it whole.

    Args:
        supernet: Trained in place.
        part: Images that train the weights.
        config: Settings.
        seed: Of batches and draws.
        predictor: For samplers that compare members by one.

    Raises:
        SpaceError: If the sampler does not fit the space.
        ConfigError: If an option is wrong, or a member would see too few images for batch norm.
    """

    def __init__(
        self,
        supernet: Supernet,
        part: DataPart,
        config: PathConfig,
        *,
        seed: int,
        predictor: Predictor | None = None,
    ) -> None:
        super().__init__(supernet, part, config, seed=seed)
        self.paths = config
        self.sampler: AbstractPathSampler = make_part(PATH_SAMPLERS, config.sampler, WHERE)
        self.sizes = MemberSizes(supernet.space, supernet.input_shape, supernet.num_classes)
        size = self.batches.batch_size
        self.sampler.begin(
            Scene(supernet.space, self.sizes, seed, size, self._zero_cost, predictor)
        )
        check_batch(
            self.sampler.images_per_member(size),
            len(part),
            size,
            f"The path sampler '{self.sampler.name}' divides the {size} images of a step.",
        )
        self._check_stages()
        if self.sampler.division(1.0) is not None:
            supernet.check_divisible()
        self.auto = AutoSharing(
            supernet,
            part,
            seed=seed,
            epochs=config.epochs,
            steps_per_epoch=self.batches.steps_per_epoch,
        )
        self.teacher: BlockTeacher | None = None
        self._by_pattern: dict[str, list[Tensor]] = defaultdict(list)
        self._norms: list[Tensor] = []

    def _check_stages(self) -> None:
        if self.paths.distillation and self.sampler.by_stages:
            raise ConfigError(
                f"The path sampler '{self.sampler.name}' cannot distil as well: its members learn "
                "from a teacher already.",
                where="supernet.training.distillation",
                fix="Write `distillation: 0`.",
            )
        if self.supernet.hypernetwork is not None and self.sampler.by_stages:
            raise ConfigError(
                f"The path sampler '{self.sampler.name}' trains stages one by one, and a "
                "hypernetwork emits the weights of whole members.",
                where=WHERE,
                fix="Use shared weights, or another path sampler.",
            )
        if self.supernet.rule.measured and self.sampler.by_stages:
            raise ConfigError(
                f"The path sampler '{self.sampler.name}' trains stages between states of a fixed "
                "teacher, and the sharing policy 'auto' would take its weights apart.",
                where=WHERE,
                fix="Use another sharing policy, or another path sampler.",
            )

    def declared(self) -> dict[str, Any]:
        """Return sampler, its options and the factor of distillation."""
        return {
            "sampler": self.sampler.name,
            "sampler_options": self.sampler.options.model_dump(mode="json"),
            "distillation": self.paths.distillation,
        }

    def proposals(self) -> list[Decisions]:
        """Return what the sampler proposes."""
        return self.sampler.proposals()

    def lessons(self, step: int, images: Tensor, labels: Tensor) -> tuple[Lesson, ...]:
        """Return what a step trains; a sampler that remembers steps has to be asked in order."""

        def loss_of(decisions: Decisions) -> float:
            architecture = self.supernet.space.build(decisions)
            with torch.no_grad():
                return float(F.cross_entropy(self._logits(images, architecture), labels))

        rng = np.random.default_rng(derive_seed(self.seed, "path", step))
        return self.sampler.lessons(Moment(step, self._progress(step), rng, loss_of))

    def _progress(self, step: int) -> float:
        return step / (self.config.epochs * self.batches.steps_per_epoch)

    def train_step(self, images: Tensor, labels: Tensor, learning_rate: float) -> Tensor:
        """Update the weights of the step's members once."""
        self.auto.before_step(self.step)
        self.supernet.divide(self.sampler.division(self._progress(self.step)))
        lessons = self.lessons(self.step, images, labels)
        self.optimizer.zero_grad()
        losses, active, places = self.gradients(lessons, images, labels)
        norm = self.optimizer.clip(active, self.config.gradient_clip)
        self.optimizer.step(active, learning_rate, places)
        self._norms.append(norm)
        if self.sampler.learns:
            self.sampler.observe(lessons, torch.stack(losses).tolist())
        total = losses[0]
        if len(losses) > 1:
            weights = [lesson.weight for lesson in lessons]
            total = torch.stack([a * b for a, b in zip(losses, weights, strict=True)]).sum()
        return total + 0 * norm  # an infinite gradient makes it NaN

    def gradients(
        self, lessons: Sequence[Lesson], images: Tensor, labels: Tensor
    ) -> tuple[list[Tensor], Mapping[str, Footprint], Mapping[str, str] | None]:
        """Add the gradients of lessons to those that are there.

        Returns:
            The loss of each lesson, what they read of each slot, and where their momentum is kept
            (under the key of the first lesson that reads the slot, where policies keep it apart).
        """
        step = _Step(images, labels)
        losses: list[Tensor] = []
        actives: list[Mapping[str, Shape]] = []
        places: dict[str, str] = {}
        architectures = [self.supernet.space.build(lesson.decisions) for lesson in lessons]
        wanted = architectures[1:]
        if self.paths.distillation:
            wanted.append(self.supernet.space.build(self.sizes.largest))
        for architecture in wanted:
            # A slot that is widened later in the step would forget the gradients it has by then.
            self.supernet.program(architecture)
        for lesson, architecture in zip(lessons, architectures, strict=True):
            teach = self._teach_member if lesson.stage is None else self._teach_stage
            loss, active = teach(lesson, architecture, step)
            (loss if lesson.weight == 1 else loss * lesson.weight).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
            actives.append(active)
            places = (self.supernet.rule.momentum_keys(active, architecture) or {}) | places
        footprint = actives[0] if len(actives) == 1 else joined(actives)
        return losses, footprint, places or None

    def _logits(self, images: Tensor, architecture: Architecture) -> Tensor:
        with reduced_precision(self.device):
            logits: Tensor = self.supernet(images, architecture)
        return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits

    def _teach_member(
        self, lesson: Lesson, architecture: Architecture, step: _Step
    ) -> tuple[Tensor, Mapping[str, Shape]]:
        """Return the loss of a whole member, and what it reads."""
        images, labels = step.rows(lesson.rows)
        logits = self._logits(images, architecture)
        loss = F.cross_entropy(logits, labels)
        for pattern in set(architecture.wiring):
            self._by_pattern[pattern].append(loss.detach())
        share = self.paths.distillation
        if share > 0 and lesson.decisions == self.sizes.largest:
            step.soft.setdefault(lesson.rows, logits.detach())
        elif share > 0 and lesson.distilled:
            soft = self._soft_labels(lesson, step).softmax(1)
            loss = (1 - share) * loss + share * F.cross_entropy(logits, soft)
        return loss, self.supernet.active(architecture)

    def _soft_labels(self, lesson: Lesson, step: _Step) -> Tensor:
        """Return the largest member's logits, from its own lesson where the step has one."""
        if lesson.rows is not None and None in step.soft:
            return step.soft[None][slice(*lesson.rows)]
        if lesson.rows not in step.soft:
            largest = self.supernet.space.build(self.sizes.largest)
            with torch.no_grad():
                step.soft[lesson.rows] = self._logits(step.rows(lesson.rows)[0], largest)
        return step.soft[lesson.rows]

    def _teach_stage(
        self, lesson: Lesson, architecture: Architecture, step: _Step
    ) -> tuple[Tensor, Mapping[str, Shape]]:
        """Return how far one stage is from the teacher's, and what the stage reads."""
        assert lesson.stage is not None
        if self.teacher is None:
            self.teacher = BlockTeacher.copy_of(self.supernet, self.sizes.largest)
        with reduced_precision(self.device):
            if step.states is None:
                step.states = self.teacher.states(step.images)
            loss = self.teacher.loss(architecture, lesson.stage, step.images, step.states)
        self._by_pattern[f"stage{lesson.stage}"].append(loss.detach())
        return loss, self.teacher.active(architecture, lesson.stage)

    def _zero_cost(self, name: str, decisions: Decisions) -> float:
        """Return the score of an untrained member on a batch of the weights' part."""
        network = Network(
            self.supernet.space.build(decisions),
            self.supernet.input_shape,
            self.supernet.num_classes,
            seed=derive_seed(self.seed, "untrained network", 0),
        )
        batch = next(self.batches.epoch(derive_seed(self.seed, "zero-cost images", 0), 0))
        score = ZERO_COST.get(name)
        return score.score(network.to(self.device), *batch, seed=self.seed)

    def epoch_numbers(self) -> dict[str, float]:
        """Return the mean gradient norm, and the mean loss of the members with each pattern.

        Losses are against labels, without distillation; those of stages are against the teacher.
        """
        numbers = {"gradient_norm": _mean(self._norms)}
        if self.paths.distillation:
            numbers["distillation"] = self.paths.distillation
        numbers |= {
            f"loss/{name}": _mean(self._by_pattern[name]) for name in sorted(self._by_pattern)
        }
        self.forget_epoch()
        return numbers | path_agreement(self)

    def forget_epoch(self) -> None:
        """Start counting anew."""
        self._by_pattern.clear()
        self._norms.clear()

    def more_arrays(self) -> Checkpoint:
        """Return what the sampler remembers, and the teacher of stages."""
        teacher = {} if self.teacher is None else self.teacher.arrays()
        return {
            "sampler": pack(self.sampler.state()),
            **{f"teacher/{key}": value for key, value in teacher.items()},
        }

    def load_more(self, checkpoint: Checkpoint) -> None:
        """Take them."""
        self.sampler.load_state(unpack(checkpoint["sampler"]))
        teacher = below(checkpoint, "teacher/")
        self.teacher = BlockTeacher(self.supernet, self.sizes.largest, teacher) if teacher else None


@final
@dataclass
class _Step:
    """The images of a step, and what its lessons share.

    Args:
        images: Of the whole batch.
        labels: Of the whole batch.
        soft: The largest member's logits, by rows.
        states: The teacher's states on all images.
    """

    images: Tensor
    labels: Tensor
    soft: dict[tuple[int, int] | None, Tensor] = field(default_factory=dict)
    states: dict[str, Tensor] | None = None

    def rows(self, rows: tuple[int, int] | None) -> tuple[Tensor, Tensor]:
        """Return images and labels of a share of the batch."""
        if rows is None:
            return self.images, self.labels
        return self.images[slice(*rows)], self.labels[slice(*rows)]


def _mean(values: list[Tensor]) -> float:
    return sum(torch.stack(values).tolist()) / len(values) if values else 0.0


def train_paths(
    supernet: Supernet,
    parts: FiveParts,
    config: PathConfig | None = None,
    *,
    seed: int,
    predictor: Predictor | None = None,
    on_epoch: OnEpoch | None = None,
    should_stop: Callable[[], bool] | None = None,
    state: Checkpoint | None = None,
) -> tuple[TrainingResult, Checkpoint]:
    """Train a supernet in place on members, one or several per step.

    Args:
        supernet: On the device where it is to be trained.
        parts: The data; only the weights' part is read.
        config: Settings.
        seed: Of batches and paths.
        predictor: From a member to its predicted loss, for samplers that compare by one.
        on_epoch: Called after each epoch with its health and a function that returns the
            checkpoint.
        should_stop: Asked before each step.
        state: Checkpoint to go on from.

    Returns:
        What was done, and the checkpoint after the last step.

    Raises:
        TrialError: If the training diverges twice, or memory runs out.
        RunError: If the checkpoint is of another training.
        SpaceError: If the sampler does not fit the space.
        ConfigError: If an option is wrong, or a member would see too few images for batch norm.
    """
    training = PathTraining(
        supernet, parts.weights, config or PathConfig(), seed=seed, predictor=predictor
    )
    if state is not None:
        training.restore(state)
    return training.run(on_epoch, should_stop), training.checkpoint()
