"""How a member's batch-norm statistics are measured before it is scored: settings, no torch.

Inherited weights were trained in the company of many other paths, so the running statistics of the
shared weights describe no member. Both numbers are kept, with and without, so that a run shows what
recalibration is worth.
"""

from __future__ import annotations

from typing import Literal, Self, final

from pydantic import BaseModel, ConfigDict, Field, model_validator

Policy = Literal["pass", "average", "none"]


@final
class Recalibration(BaseModel):
    """Where the statistics of a score come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Policy = "pass"
    """`pass`: one training-mode pass; `average`: the mean over several passes; `none`: the running
    averages over all sampled paths."""

    images: int = Field(default=512, ge=1, le=1_000_000)
    """Most images of one pass, of the weights' part."""

    passes: int = Field(default=1, ge=1, le=1000)
    """Passes that `average` takes, each over images of its own."""

    compare: bool = True
    """Whether members are also scored without recalibration, at the cost of a second scoring."""

    @model_validator(mode="after")
    def _check_passes(self) -> Self:
        if self.passes > 1 and self.policy != "average":
            raise ValueError(
                f"{self.passes} passes need the policy 'average'; '{self.policy}' takes one"
            )
        return self
