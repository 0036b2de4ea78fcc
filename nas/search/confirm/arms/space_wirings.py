"""Hand-made wirings of the same space: the same operations and widths, wired as people do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, final

from nas.search.confirm.arms.base import ARMS, AbstractArm, ArmContext
from nas.search.confirm.candidate import Candidate, Kind

ORDER: Final = ("residual", "dense", "fractal", "hierarchical", "chain", "harmonic")
"""Hand-made wirings in the order in which a small budget takes them."""


@ARMS.register("space_wirings")
@final
class SpaceWirings(AbstractArm):
    """The known wirings of the space, at most `confirm.baselines.hand_made` of them."""

    name: ClassVar[str] = "space_wirings"
    kind: ClassVar[Kind] = "hand_made"

    def candidates(self, context: ArmContext) -> Iterator[Candidate]:
        """Yield the space's hand-made members, the best known wirings first."""
        space = context.session.space
        known = space.known()
        ordered = sorted(known, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
        for name in ordered[: context.settings.baselines.hand_made]:
            network = space.build(known[name])
            yield Candidate.of(f"hand_made-{name}", self.name, self.kind, name, network)
