"""Who takes part in a confirmation: networks, and the competitors that could not be had.

Both are plain data, written whole into the one plan record, so that nobody enters after the first
training and nobody leaves unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, final

from nas.topology.graph import Architecture
from nas.topology.identity import trained_id
from nas.topology.serial import dump_architecture, load_architecture

Kind = Literal["searched", "hand_made", "random"]
SEARCHED: Final = "searched"


@final
@dataclass(frozen=True)
class Candidate:
    """One network of a confirmation.

    Args:
        key: Names it in the log; equal keys are the same network, also after more trials.
        arm: Name of the arm that brought it.
        kind: `searched` networks are candidates for a claim, the others are their rivals.
        name: What a table calls it.
        wiring: Patterns of its stages, as a table shows them.
        architecture: The network.
        trial: Trial of the run that it is; None where it is none.
        cost_device_s: Device-seconds that its arm spent to find it, shared among its networks;
            0 for networks that cost nothing to find.
        note: What a reader should know of it, such as its size.
        family: Hand-made family that it is a size of, so that sizes are compared along their own
            front; None for networks of no such family.
    """

    key: str
    arm: str
    kind: Kind
    name: str
    wiring: str
    architecture: Architecture
    trial: int | None = None
    cost_device_s: float = 0.0
    note: str | None = None
    family: str | None = None

    @classmethod
    def of(
        cls,
        key: str,
        arm: str,
        kind: Kind,
        name: str,
        network: Architecture,
        *,
        family: str | None = None,
    ) -> Self:
        """Return the candidate of a network that is no trial and cost nothing to find."""
        wiring = "-".join(network.wiring) or name
        return cls(key, arm, kind, name, wiring, network, family=family)

    def to_record(self) -> dict[str, Any]:
        """Return the candidate as its plan holds it."""
        return {
            "key": self.key,
            "arm": self.arm,
            "kind": self.kind,
            "name": self.name,
            "trial": self.trial,
            "wiring": self.wiring,
            "cost_device_s": round(self.cost_device_s, 3),
            "note": self.note,
            "family": self.family,
            "architecture_id": trained_id(self.architecture),
            "architecture": dump_architecture(self.architecture),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the candidate that a plan holds."""
        return cls(
            key=str(record["key"]),
            arm=str(record["arm"]),
            kind=record["kind"],
            name=str(record["name"]),
            wiring=str(record["wiring"]),
            architecture=load_architecture(record["architecture"]),
            trial=record["trial"],
            cost_device_s=float(record["cost_device_s"]),
            note=record["note"],
            family=record["family"],
        )


@final
@dataclass(frozen=True)
class LeftOut:
    """A competitor that could not take part.

    Args:
        arm: The arm that would have brought it.
        name: What a table calls it.
        reason: Why not, in one sentence.
    """

    arm: str
    name: str
    reason: str

    def to_record(self) -> dict[str, Any]:
        """Return it as its plan holds it."""
        return {"arm": self.arm, "name": self.name, "reason": self.reason}
