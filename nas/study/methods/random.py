"""Random members of the space at the size: what every search has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, final

import numpy as np
from pydantic import Field

from nas.seeds import derive_seed
from nas.study.equal_macs import drawn
from nas.study.methods.base import METHODS, AbstractMethod, Choice, MethodContext, MethodOptions

if TYPE_CHECKING:
    from nas.study.session import StudySession


@final
class RandomOptions(MethodOptions):
    """Options of `random`."""

    members: Annotated[int, Field(ge=1, le=1000)] | None = None
    """How many members are trained with every seed, their mean being the row; null draws a fresh
    member for every seed, so that the spread of the row holds that of the space as well."""


@METHODS.register("random")
@final
class RandomMethod(AbstractMethod):
    """Members drawn uniformly until their size is within the tolerance."""

    kind = "random"
    Options: ClassVar[type[MethodOptions]] = RandomOptions

    @property
    def own_label(self) -> str:
        """`random`."""
        return "random"

    def choose(self, context: MethodContext, session: StudySession) -> Choice:
        """Draw the members."""
        return self.preview(context)

    def preview(self, context: MethodContext) -> Choice:
        """Return what `choose` does: nothing is trained for it."""
        seeds, members = context.config.seeds, self.options.members
        networks = tuple(
            drawn(
                context.space,
                context.target,
                np.random.default_rng(derive_seed(context.seed, "random member", index)),
            )
            for index in range(seeds if members is None else members)
        )
        if members is None:
            note = "a fresh member per seed"
            return Choice(networks, tuple((index,) for index in range(seeds)), note)
        note = f"mean of {members} members" if members > 1 else "one member"
        return Choice(networks, (tuple(range(members)),) * seeds, note)
