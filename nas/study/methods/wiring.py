"""A hand-made wiring of the space, the same in every stage, swept in width and depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from nas.space import AbstractSpace
from nas.study.equal_macs import known_wiring, swept
from nas.study.methods.base import METHODS, AbstractMethod, Choice, MethodContext, MethodOptions

if TYPE_CHECKING:
    from nas.study.session import StudySession


@final
class WiringOptions(MethodOptions):
    """Options of `wiring`."""

    name: str
    """A hand-made wiring of the space, such as `chain` or `dense`."""


@METHODS.register("wiring")
@final
class WiringMethod(AbstractMethod):
    """The named wiring in the width and depth that meet the size of the study."""

    kind = "wiring"
    Options: ClassVar[type[MethodOptions]] = WiringOptions

    @property
    def own_label(self) -> str:
        """The wiring's name."""
        return str(self.options.name)

    def check(self, space: AbstractSpace) -> None:
        """Refuse a space without this wiring."""
        known_wiring(space, self.options.name)

    def choose(self, context: MethodContext, session: StudySession) -> Choice:
        """Return the wiring at the size asked for, or as the space knows it."""
        return self.preview(context)

    def preview(self, context: MethodContext) -> Choice:
        """Return what `choose` does: nothing is trained for it."""
        decisions = known_wiring(context.space, self.options.name)
        if context.target is None:
            return Choice.same(context.space.build(decisions), context.config.seeds)
        network = swept(context.space, decisions, context.target)
        return Choice.same(network, context.config.seeds, "swept in width and depth")
