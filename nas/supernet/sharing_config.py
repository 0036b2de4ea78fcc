"""Which sharing policy holds for what: one line for all, or one per kind of number."""

from __future__ import annotations

from typing import Self, final

from pydantic import BaseModel, ConfigDict, Field


@final
class AutoSharingConfig(BaseModel):
    """How `auto` finds out what to split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: float = Field(default=0.2, gt=0, lt=1)
    """When gradients are compared: share of the training, rounded to whole epochs (at least 1)."""

    members: int = Field(default=64, ge=2, le=100_000)
    """Members whose gradients are compared, drawn uniformly."""

    images: int = Field(default=256, ge=2, le=1_000_000)
    """Images of the weights' part, the same for all members."""

    threshold: float = Field(default=0.0, ge=-1, le=1)
    """Cosine of two families' mean gradients from which on they go on sharing."""


@final
class SharingConfig(BaseModel):
    """Sharing policies by name; those that are left out follow the weights'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str = "position"
    """Of kernels, matrices and merge weights."""

    norms: str | None = None
    """Of the affine part of batch norms and of their running statistics."""

    gates: str | None = None
    """Of the relaxation's gates; left out, a choice has the same gate in every wiring."""

    momentum: str | None = None
    """Of the optimiser's momentum: families that share a weight may each have its momentum."""

    auto: AutoSharingConfig = AutoSharingConfig()
    """How `auto` measures."""

    @classmethod
    def of(cls, declared: str | Self) -> Self:
        """Return the policies that one name, or several, declare."""
        return cls(weights=declared) if isinstance(declared, str) else declared

    @property
    def names(self) -> tuple[str, ...]:
        """Every policy that is named."""
        named = (self.weights, self.norms, self.gates, self.momentum)
        return tuple(dict.fromkeys(name for name in named if name is not None))
