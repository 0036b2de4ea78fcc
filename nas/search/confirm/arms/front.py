"""The searched networks: the shortlist of the front."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, final

from nas.search.confirm.arms.base import ARMS, AbstractArm, ArmContext
from nas.search.confirm.candidate import Candidate, Kind
from nas.topology.serial import load_architecture


@ARMS.register("front")
@final
class Front(AbstractArm):
    """What the search found, as the shortlist has it."""

    name: ClassVar[str] = "front"
    kind: ClassVar[Kind] = "searched"

    def candidates(self, context: ArmContext) -> Iterator[Candidate]:
        """Yield the shortlisted trials."""
        for trial in context.points:
            key = f"trial-{trial.number}"
            network = load_architecture(trial.architecture)
            formats = trial.extra.get("quantisation")
            yield Candidate(
                key=key,
                arm=self.name,
                kind=self.kind,
                name=key,
                wiring="-".join(network.wiring) or key,
                architecture=network,
                trial=trial.number,
                note=f"searched as {formats}, retrained in float32" if formats else None,
            )
