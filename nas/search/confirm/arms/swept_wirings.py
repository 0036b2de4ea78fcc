"""Hand-made wirings of the same space in several depths and widths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, final

from nas.errors import NasError
from nas.search.confirm.arms.base import ARMS, AbstractArm, ArmContext
from nas.search.confirm.arms.space_wirings import hand_made_wirings
from nas.search.confirm.candidate import Candidate, Kind
from nas.search.confirm.sweeps import sizes_of
from nas.topology.identity import structural_id

NAME: Final = "swept_wirings"


@ARMS.register(NAME)
@final
class SweptWirings(AbstractArm):
    """The known wirings of the space, each in the sizes of `confirm.baselines.sweep`.

    Searched networks come in several sizes, so hand-made ones do too: in each bin the best of those
    that fit there is the rival.
    """

    name: ClassVar[str] = NAME
    kind: ClassVar[Kind] = "hand_made"

    def candidates(self, context: ArmContext) -> Iterator[Candidate]:
        """Yield every wiring as it is usually sized, then in the sizes asked for."""
        space, sweep = context.session.space, context.settings.baselines.sweep
        for family, wiring in hand_made_wirings(context):
            try:
                sized = list(sizes_of(space, wiring, sweep.depths, sweep.widths))
            except NasError as error:
                context.leave_out(NAME, family, error.what)
                continue
            for each in sized:
                key = f"hand_made-{family}-{structural_id(each.architecture)[-8:]}"
                network, name = each.architecture, f"{family} ({each.size})"
                yield Candidate.of(key, NAME, self.kind, name, network, family=family)
