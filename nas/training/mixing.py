"""Mixup: pairs of images and of their labels, mixed in a drawn proportion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nas.seeds import derive_seed


@final
@dataclass(frozen=True)
class Targets:
    """What a batch is to be classified as.

    Args:
        labels: `(batch,)`.
        others: Labels of the images that were mixed in, or None.
        share: Share of the first image of each pair.
    """

    labels: Tensor
    others: Tensor | None = None
    share: float = 1.0

    def loss(self, logits: Tensor, label_smoothing: float) -> Tensor:
        """Return the mean cross-entropy, in nats."""
        logits = logits.float()
        own = F.cross_entropy(logits, self.labels, label_smoothing=label_smoothing)
        if self.others is None:
            return own
        other = F.cross_entropy(logits, self.others, label_smoothing=label_smoothing)
        return self.share * own + (1.0 - self.share) * other


def mix(
    images: Tensor, labels: Tensor, alpha: float, seed: int, step: int
) -> tuple[Tensor, Targets]:
    """Mix every image of a batch with another one (Zhang et al. 2017, arXiv:1710.09412).

    The proportion is one per batch, drawn from Beta(alpha, alpha) on the CPU, so that one seed
    mixes alike on every device.

    Args:
        images: `(batch, channels, height, width)`.
        labels: `(batch,)`.
        alpha: 0 mixes nothing.
        seed: Of the training.
        step: Number of the step.
    """
    if alpha == 0:
        return images, Targets(labels)
    rng = np.random.default_rng(derive_seed(seed, "mixup", step))
    share = float(rng.beta(alpha, alpha))
    partner = torch.from_numpy(rng.permutation(len(labels))).to(images.device)
    mixed = torch.lerp(images[partner], images, share)
    return mixed, Targets(labels, labels[partner], share)
