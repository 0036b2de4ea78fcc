"""Resources by name: what a regulariser charges and a budget limits. torch is not imported here.

Costs come as vectors of parameters, MACs, bytes and milliseconds, of members and of expectations
alike; the MACs per byte of an expectation are the quotient of expected MACs and expected bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self, final

from pydantic import BaseModel, Field, model_validator

from nas.cost.pieces import LinearLatency

ResourceName = Literal["macs", "parameters", "bytes", "latency_ms", "macs_per_byte"]
POSITIONS: Final = {"parameters": 0, "macs": 1, "bytes": 2, "latency_ms": 3}
UNITS: Final = {
    "macs": "MACs",
    "parameters": "parameters",
    "bytes": "bytes",
    "latency_ms": "ms",
    "macs_per_byte": "MACs per byte",
}
Positive = Annotated[float, Field(gt=0, le=1e18, allow_inf_nan=False)]


def amount(name: ResourceName, costs: Any) -> Any:
    """Return one resource of a vector of costs (numpy or torch, `(4,)`)."""
    if name == "macs_per_byte":
        return costs[POSITIONS["macs"]] / costs[POSITIONS["bytes"]]
    return costs[POSITIONS[name]]


def charged(name: ResourceName, costs: Any) -> Any:
    """Return what a resource is charged: its amount, for MACs per byte the bytes per MAC."""
    if name == "macs_per_byte":
        return costs[POSITIONS["bytes"]] / costs[POSITIONS["macs"]]
    return costs[POSITIONS[name]]


@final
@dataclass(frozen=True)
class Limit:
    """One side of a budget.

    Args:
        name: The resource.
        value: The largest amount, or for `macs_per_byte` the smallest.
    """

    name: ResourceName
    value: float

    def excess(self, costs: Any) -> Any:
        """Return by how much costs break the limit, as a share of it; at most 0 is within."""
        if self.name == "macs_per_byte":
            return self.value * costs[POSITIONS["bytes"]] / costs[POSITIONS["macs"]] - 1
        return costs[POSITIONS[self.name]] / self.value - 1

    def text(self) -> str:
        """Return the limit in words."""
        side = "at least" if self.name == "macs_per_byte" else "at most"
        return f"{side} {self.value:,.6g} {UNITS[self.name]}"


class BudgetOptions(BaseModel, frozen=True, extra="forbid"):
    """Limits on what a member may cost on one image; all that are given hold at once."""

    macs: Positive | None = None
    """Largest number of multiply-adds."""

    macs_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Largest number of multiply-adds, as a share of the largest member's."""

    parameters: Positive | None = None
    """Largest number of trainable numbers."""

    bytes: Positive | None = None
    """Largest number of bytes moved in float32."""

    latency_ms: Positive | None = None
    """Largest additive latency in milliseconds, by `latency`."""

    macs_per_byte: Positive | None = None
    """Smallest arithmetic intensity: multiply-adds per byte moved."""

    latency: LinearLatency = LinearLatency()
    """Milliseconds of a piece."""

    @model_validator(mode="after")
    def _something_is_limited(self) -> Self:
        names = (*UNITS, "macs_share")
        if all(getattr(self, name) is None for name in names):
            raise ValueError(f"no limit is given; give one of {', '.join(names)}")
        return self

    def limits(self, largest: Any) -> tuple[Limit, ...]:
        """Return the limits that are given.

        Args:
            largest: The largest member's costs, `(4,)`.
        """
        names: tuple[ResourceName, ...] = (
            "macs",
            "parameters",
            "bytes",
            "latency_ms",
            "macs_per_byte",
        )
        given = [(name, getattr(self, name)) for name in names]
        found = [Limit(name, float(value)) for name, value in given if value is not None]
        if self.macs_share is not None:
            found.append(Limit("macs", self.macs_share * float(largest[POSITIONS["macs"]])))
        return tuple(found)
