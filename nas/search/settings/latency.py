"""How a search comes by latencies: measured, predicted from a profile, or of another device."""

from __future__ import annotations

from typing import Annotated, Literal, Self, final

from pydantic import Field, model_validator

from nas.errors import ConfigError
from nas.objectives.latency_config import LatencyConfig

Column = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


@final
class LatencySearchConfig(LatencyConfig, frozen=True, extra="forbid"):
    """How latency is measured, and where it is predicted instead."""

    profile: str | None = None
    """File of `nas latency build` on this device, which `steer: predicted` reads. A run keeps its
    content, not its path."""

    steer: Literal["measured", "predicted"] = "measured"
    """What a trial's latency is: measured, or predicted from the profile. Points of the final front
    are always measured, and constraints verified on that."""

    devices: dict[Column, str] = Field(default_factory=dict)
    """Profiles of further devices by name, such as `{pi4: profiles/pi4.json}`: their latencies are
    predicted, as objectives or constraints called `latency@pi4`."""

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @model_validator(mode="after")
    def _check_steer(self) -> Self:
        if (self.steer == "predicted") != (self.profile is not None):
            given = "no profile" if self.profile is None else f"the profile '{self.profile}'"
            raise ConfigError(
                f"latency.steer is '{self.steer}' and there is {given}.",
                why="A profile of this device is what predictions come from, and nothing else.",
                fix="Give both, 'latency: {profile: FILE, steer: predicted}', or neither; "
                "`nas latency build SPACE` makes a profile.",
            )
        return self
