"""Path training: one uniformly drawn member per step (Guo et al. 2019, SPOS, arXiv:1904.00420).

Every question of the space is answered uniformly, so each pattern is equally likely whatever number
of members it has. This is what makes inherited weights rank members: weights trained on mixtures do
not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import final

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from nas.seeds import derive_seed
from nas.space import Decisions
from nas.supernet.loop import AbstractLoop, AbstractLoopConfig, Checkpoint, OnEpoch, TrainingResult
from nas.supernet.supernet import Supernet
from nas.training.device import reduced_precision
from nas.training.parts import DataPart, FiveParts


@final
class PathConfig(AbstractLoopConfig, frozen=True, extra="forbid"):
    """Settings of path training."""


@final
class PathTraining(AbstractLoop):
    """Path training of a supernet, step by step; `train_paths` runs it whole."""

    def __init__(
        self, supernet: Supernet, part: DataPart, config: PathConfig, *, seed: int
    ) -> None:
        super().__init__(supernet, part, config, seed=seed)
        self._by_pattern: dict[str, list[Tensor]] = defaultdict(list)
        self._norms: list[Tensor] = []

    def path(self, step: int) -> Decisions:
        """Return the member that is trained at a step."""
        rng = np.random.default_rng(derive_seed(self.seed, "path", step))
        return self.supernet.space.sample(rng)

    def train_step(self, images: Tensor, labels: Tensor, learning_rate: float) -> Tensor:
        """Update the weights of one member."""
        architecture = self.supernet.space.build(self.path(self.step))
        active = self.supernet.active(architecture)
        with reduced_precision(self.device):
            logits = self.supernet(images, architecture)
        loss = F.cross_entropy(logits.float(), labels)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = self.optimizer.clip(active, self.config.gradient_clip)
        self.optimizer.step(active, learning_rate)
        self._norms.append(norm)
        for pattern in set(architecture.wiring):
            self._by_pattern[pattern].append(loss.detach())
        return loss.detach() + 0 * norm  # an infinite gradient makes it NaN

    def epoch_numbers(self) -> dict[str, float]:
        """Return the mean gradient norm, and the mean loss of the members with each pattern."""
        numbers = {"gradient_norm": _mean(self._norms)}
        numbers |= {
            f"loss/{name}": _mean(self._by_pattern[name]) for name in sorted(self._by_pattern)
        }
        self._by_pattern.clear()
        self._norms.clear()
        return numbers


def _mean(values: list[Tensor]) -> float:
    return sum(float(value) for value in values) / max(1, len(values))


def train_paths(
    supernet: Supernet,
    parts: FiveParts,
    config: PathConfig | None = None,
    *,
    seed: int,
    on_epoch: OnEpoch | None = None,
    should_stop: Callable[[], bool] | None = None,
    state: Checkpoint | None = None,
) -> tuple[TrainingResult, Checkpoint]:
    """Train a supernet in place on uniformly drawn members.

    Args:
        supernet: On the device where it is to be trained.
        parts: The data; only the weights' part is read.
        config: Settings.
        seed: Of batches and paths.
        on_epoch: Called after each epoch with its health and a function that returns the
            checkpoint.
        should_stop: Asked before each step.
        state: Checkpoint to go on from.

    Returns:
        What was done, and the checkpoint after the last step.

    Raises:
        TrialError: If the training diverges twice, or memory runs out.
        RunError: If the checkpoint is of another training.
    """
    training = PathTraining(supernet, parts.weights, config or PathConfig(), seed=seed)
    if state is not None:
        training.restore(state)
    return training.run(on_epoch, should_stop), training.checkpoint()
