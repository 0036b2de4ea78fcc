"""A recipe: everything that decides how a network is trained, except its seed and its data.

Two networks are compared fairly only when trained with one recipe; its hash stands beside every
confirmed result, so that a table can prove it.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, Literal

from pydantic import BaseModel, Field

RECIPE_SCHEMA = "nas.recipe/1"


class Recipe(BaseModel, frozen=True, extra="forbid"):
    """Settings of one training; `recipe_hash` names them."""

    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with Nesterov momentum, or AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101)."""

    learning_rate: float = Field(default=0.1, gt=0, le=100, allow_inf_nan=False)
    """Largest learning rate of the schedule."""

    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD; AdamW uses it as its first beta."""

    weight_decay: float = Field(default=5e-4, ge=0, le=10, allow_inf_nan=False)
    """Decay of matrices and kernels; norms, biases and gates are never decayed."""

    epochs: int = Field(default=20, ge=1, le=100_000)
    """Passes over the training images."""

    batch_size: int = Field(default=128, ge=1, le=1_000_000)
    """Images per step; the last, smaller batch of an epoch is dropped."""

    schedule: Literal["cosine", "constant"] = "cosine"
    """Cosine to zero (Loshchilov and Hutter 2017, arXiv:1608.03983), or a constant rate."""

    warmup_epochs: float = Field(default=1.0, ge=0, le=1000)
    """Epochs in which the learning rate rises linearly from near zero."""

    augmentation: Literal["none", "flip_crop", "shift"] = "none"
    """`shift` moves images by up to an eighth of their size; `flip_crop` also mirrors them."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target spread over all classes."""

    gradient_clip: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Largest norm of the whole gradient; None does not clip."""

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return self.model_dump(mode="json")

    @property
    def recipe_hash(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON of all settings."""
        content = {"schema": RECIPE_SCHEMA, **self.as_dict()}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step (from 0) of a training of `epochs` epochs."""
        total = self.epochs * steps_per_epoch
        # At most half of the training: a short run must not end while it still warms up.
        warmup = min(round(self.warmup_epochs * steps_per_epoch), total // 2)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        if self.schedule == "constant":
            return self.learning_rate
        progress = (step - warmup) / max(1, total - warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
