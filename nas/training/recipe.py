"""A recipe: everything that decides how a network is trained, except its seed and its data.

Two networks are compared fairly only when trained with one recipe; its hash stands beside every
confirmed result, so that a table can prove it. A setting that came later is left out of the hash
where it is at its default, so that the hash of an old recipe stays what it was.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from nas.errors import ConfigError, NotFoundError
from nas.training.path_dropping import NO_DROPPING, read_path_dropping

RECIPE_SCHEMA = "nas.recipe/1"
NAMED = "named"
"""Key under which a declared recipe names the one that it starts from."""

LATER_SETTINGS = frozenset(
    {
        "initialisation",
        "learning_rate_rule",
        "path_dropping",
        "mixup",
        "averaging",
        "average_decay",
        "average_from",
        "exit_weight",
    }
)
"""Settings that the first version of the schema did not have."""


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

    initialisation: Literal["default", "aligned", "in_degree"] = "default"
    """What the weights start from; see `nas.model.initialise`."""

    learning_rate_rule: Literal["fixed", "cell_paths", "weighted_paths"] = "fixed"
    """Whether the rate is divided by what the lengths of a network's paths say, so that it is the
    rate of one operation alone; see `nas.training.path_rates`."""

    path_dropping: str = NO_DROPPING
    """What is dropped of a network's paths, such as `stochastic_depth(rate=0.2)`."""

    mixup: float = Field(default=0.0, ge=0, le=100, allow_inf_nan=False)
    """Both parameters of the beta distribution from which pairs of images are mixed (Zhang et al.
    2017, arXiv:1710.09412); 0 mixes nothing."""

    averaging: Literal["none", "ema", "swa"] = "none"
    """Whether the result is a moving average of the weights, or their mean over the last part of
    the training (Izmailov et al. 2018, arXiv:1803.05407)."""

    average_decay: float = Field(default=0.998, ge=0, lt=1)
    """Share of a moving average that a step keeps; less in the first steps."""

    average_from: float = Field(default=0.75, ge=0, lt=1)
    """Share of the training after which the mean of `swa` begins."""

    exit_weight: float = Field(default=0.0, ge=0, le=100, allow_inf_nan=False)
    """Weight of the loss of every early exit beside that of the network's own head."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: Any) -> Any:
        """Let a name stand for a recipe, and settings stand over one: `{named: modern, ...}`."""
        from nas.training.named_recipes import settings_of

        if isinstance(given, str):
            return settings_of(given)
        if isinstance(given, dict) and NAMED in given:
            own = {key: value for key, value in given.items() if key != NAMED}
            return {**settings_of(str(given[NAMED])), **own}
        return given

    @field_validator("path_dropping")
    @classmethod
    def _known_dropping(cls, text: str) -> str:
        try:
            read_path_dropping(text)
        except NotFoundError as error:  # as a wrong value, which gets the place of its key
            raise ConfigError(error.what, fix=error.fix) from None
        except ConfigError as error:
            raise ConfigError(f"In '{text}': {error.what}", fix=error.fix) from None
        return text

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return self.model_dump(mode="json")

    @property
    def recipe_hash(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON of all settings."""
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        content = {"schema": RECIPE_SCHEMA} | {
            name: value
            for name, value in self.as_dict().items()
            if name not in LATER_SETTINGS or value != defaults[name]
        }
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
