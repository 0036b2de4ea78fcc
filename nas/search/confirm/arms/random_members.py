"""Random members of the same space: what no search at all would have given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from nas.search.confirm.arms.base import ARMS, AbstractArm, ArmContext
from nas.search.confirm.candidate import Candidate, Kind
from nas.seeds import derive_seed


@ARMS.register("random_members")
@final
class RandomMembers(AbstractArm):
    """Members drawn uniformly, `confirm.baselines.random` of them; none is looked at before."""

    name: ClassVar[str] = "random_members"
    kind: ClassVar[Kind] = "random"

    def candidates(self, context: ArmContext) -> Iterator[Candidate]:
        """Yield random members; the first ones stay when more are asked for."""
        space, seed = context.session.space, context.session.config.seed
        for index in range(context.settings.baselines.random):
            rng = np.random.default_rng(derive_seed(seed, "random baseline", index))
            name = f"random-{index}"
            yield Candidate.of(name, self.name, self.kind, name, space.build(space.sample(rng)))
