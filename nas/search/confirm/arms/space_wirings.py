"""Hand-made wirings of the same space: the same operations and widths, wired as people do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, final

from nas.search.confirm.arms.base import ARMS, AbstractArm, ArmContext
from nas.search.confirm.candidate import Candidate, Kind
from nas.space import Decisions

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
        for name, wiring in hand_made_wirings(context):
            network = context.session.space.build(wiring)
            key = f"hand_made-{name}"
            yield Candidate.of(key, self.name, self.kind, name, network, family=name)


def hand_made_wirings(context: ArmContext) -> list[tuple[str, Decisions]]:
    """Return the hand-made members that are wanted, by name, the best known first."""
    known = context.session.space.known()
    ordered = sorted(known, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return [(name, known[name]) for name in ordered[: context.settings.baselines.hand_made]]
