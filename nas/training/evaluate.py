"""Error and cross-entropy of a classifier on images it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.errors import DataError
from nas.training.batches import Batches
from nas.training.device import reduced_precision
from nas.training.device_lock import working_on
from nas.training.faults import memory_faults, nonfinite
from nas.training.parts import DataPart

FOLDS = 64
"""Parts of the images whose sums are kept: from them two classifiers' errors tell how much of them
is shared."""


@final
@dataclass(frozen=True)
class ScoreNoise:
    """How far a score may be off, for images drawn anew, and what it shares with other scores.

    Image i belongs to fold i modulo `FOLDS`, so that scores on the same images have the same folds.

    Args:
        cross_entropy_error: Standard error of the mean cross-entropy in nats; None for one image.
        images: Images per fold.
        wrong: Wrong answers per fold.
        cross_entropies: Sum of negative log-likelihoods per fold, in nats.
    """

    cross_entropy_error: float | None
    images: tuple[int, ...]
    wrong: tuple[int, ...]
    cross_entropies: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, sums to seven digits."""
        return {
            "cross_entropy_error": self.cross_entropy_error,
            "images": list(self.images),
            "wrong": list(self.wrong),
            "cross_entropies": [float(f"{each:.7g}") for each in self.cross_entropies],
        }


@final
@dataclass(frozen=True)
class Evaluation:
    """What a classifier scored.

    Args:
        error: Share of wrong answers, a fraction from 0 to 1.
        cross_entropy: Mean negative log-likelihood in nats.
        count: Images evaluated.
        noise: How far these may be off.
    """

    error: float
    cross_entropy: float
    count: int
    noise: ScoreNoise | None = None

    @property
    def accuracy(self) -> float:
        """Share of right answers, a fraction from 0 to 1."""
        return 1 - self.error

    @property
    def details(self) -> dict[str, Any]:
        """What the score rests on, as plain JSON values."""
        noise = {} if self.noise is None else {"noise": self.noise.to_dict()}
        return {"count": self.count, **noise}


def evaluate(
    module: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, batch_size: int = 512
) -> Evaluation:
    """Score a module, or any function from images to logits, on one set of images.

    A module is put into eval mode and back into the mode it was in; of a plain function the
    caller sets the mode.

    Args:
        module: From images to logits `(batch, classes)`.
        images: Normalised, `(count, channels, height, width)`, on the module's device.
        labels: `(count,)` int64.
        batch_size: Images per pass; the result does not depend on it but for rounding.

    Raises:
        TrialError: If the cross-entropy is not finite, or memory runs out.
        DataError: If there is no image.
    """
    batches = (
        (images[start : start + batch_size], labels[start : start + batch_size])
        for start in range(0, len(labels), batch_size)
    )
    return _score(module, batches, images.device)


def evaluate_part(
    module: Callable[[Tensor], Tensor],
    part: DataPart,
    *,
    device: torch.device,
    batch_size: int = 512,
) -> Evaluation:
    """Score a module on a part of the data, batch by batch, without holding it all as floats.

    `evaluate` on tensors made once by `part_tensors` is faster where many modules are scored.

    Raises:
        TrialError: If the cross-entropy is not finite, or memory runs out.
        DataError: If there is no image.
    """
    if len(part) == 0:
        raise _nothing_to_evaluate()
    return _score(module, Batches(part, batch_size, device).in_order(), device)


@final
class Tally:
    """Adds up what a classifier scores, batch by batch.

    Args:
        device: Where the logits are.
    """

    def __init__(self, device: torch.device) -> None:
        self._count = 0
        self._wrong = torch.zeros((), dtype=torch.int64, device=device)
        self._total = torch.zeros((), dtype=torch.float64)
        self._squares = torch.zeros((), dtype=torch.float64)
        # Per fold: images, wrong answers, cross-entropies.
        self._folds = torch.zeros(3, FOLDS, dtype=torch.float64)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count one batch: logits `(batch, classes)`, labels `(batch,)`."""
        logits = logits.float()
        wrong = logits.argmax(dim=1) != labels
        self._wrong += wrong.sum()
        # Summed in float64 on the CPU: MPS has no float64.
        losses = F.cross_entropy(logits, labels, reduction="none").cpu().double()
        self._total += losses.sum()
        self._squares += losses.square().sum()
        folds = torch.arange(self._count, self._count + len(labels)) % FOLDS
        self._folds.index_add_(
            1, folds, torch.stack((torch.ones_like(losses), wrong.cpu(), losses))
        )
        self._count += len(labels)

    def result(self) -> Evaluation:
        """Return the score of all batches.

        Raises:
            TrialError: If the cross-entropy is not finite.
            DataError: If there was no image.
        """
        if self._count == 0:
            raise _nothing_to_evaluate()
        cross_entropy = float(self._total) / self._count
        if not math.isfinite(cross_entropy):
            raise nonfinite("cross-entropy", cross_entropy, where="evaluation")
        return Evaluation(
            int(self._wrong) / self._count, cross_entropy, self._count, self._noise(cross_entropy)
        )

    def _noise(self, mean: float) -> ScoreNoise:
        used = min(FOLDS, self._count)
        images, wrong, losses = self._folds[:, :used].tolist()
        error = None
        if self._count > 1:
            variance = (float(self._squares) - self._count * mean**2) / (self._count - 1)
            error = math.sqrt(max(variance, 0.0) / self._count)
        return ScoreNoise(error, tuple(map(int, images)), tuple(map(int, wrong)), tuple(losses))


def _score(
    module: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device,
) -> Evaluation:
    tally = Tally(device)
    with (
        torch.no_grad(),
        _eval_mode(module),
        memory_faults("evaluation"),
        working_on(device) as turn,
    ):
        for images, labels in batches:
            turn.pause()
            with reduced_precision(device):
                logits = module(images)
            tally.add(logits, labels)
    return tally.result()


def _nothing_to_evaluate() -> DataError:
    return DataError("There are 0 images to evaluate on.", fix="Give at least 1 image.")


@contextmanager
def _eval_mode(module: object) -> Iterator[None]:
    if not isinstance(module, nn.Module):
        yield
        return
    # Each submodule's own mode: a frozen norm inside a training network stays frozen after.
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
