"""Error and cross-entropy of a classifier on images it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.errors import DataError
from nas.training.device import reduced_precision
from nas.training.faults import memory_faults, nonfinite


@final
@dataclass(frozen=True)
class Evaluation:
    """What a classifier scored.

    Args:
        error: Share of wrong answers, a fraction from 0 to 1.
        cross_entropy: Mean negative log-likelihood in nats.
        count: Images evaluated.
    """

    error: float
    cross_entropy: float
    count: int

    @property
    def accuracy(self) -> float:
        """Share of right answers, a fraction from 0 to 1."""
        return 1 - self.error


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
    count = len(labels)
    if count == 0:
        raise DataError("There are 0 images to evaluate on.", fix="Give at least 1 image.")
    wrong = torch.zeros((), dtype=torch.int64, device=images.device)
    total = torch.zeros((), dtype=torch.float64)
    with torch.no_grad(), _eval_mode(module), memory_faults("evaluation"):
        for start in range(0, count, batch_size):
            target = labels[start : start + batch_size]
            with reduced_precision(images.device):
                logits = module(images[start : start + batch_size])
            logits = logits.float()
            wrong += (logits.argmax(dim=1) != target).sum()
            losses = F.cross_entropy(logits, target, reduction="none")
            # Summed in float64 on the CPU: MPS has no float64.
            total += losses.cpu().double().sum()
    cross_entropy = float(total) / count
    if not math.isfinite(cross_entropy):
        raise nonfinite("cross-entropy", cross_entropy, where="evaluation")
    return Evaluation(int(wrong) / count, cross_entropy, count)


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
