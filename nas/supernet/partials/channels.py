"""Partial channels: a K-th of the channels goes through the mixture, the others pass beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from pydantic import BaseModel, Field

from nas.registry import Paper
from nas.supernet.declared_parts import Misfit
from nas.supernet.partials import PARTIALS, AbstractPartial, Portion, part_of

if TYPE_CHECKING:
    from nas.supernet.fitting import Fitting


@final
class ChannelOptions(BaseModel, frozen=True, extra="forbid"):
    """Which channels, and what makes up for it."""

    divisor: int = Field(default=4, ge=1, le=1024)
    """K: one in so many channels goes through the mixed operations."""

    shuffled: bool = True
    """Whether channels change places behind the mixture, so that each meets an operation."""

    edge_normalisation: bool = True
    """Whether each incoming edge of a node has a learned strength, softmax-normalised over the
    node's edges, that multiplies its gate: channels that pass by make gates alone unsteady."""


@final
@PARTIALS.register("channels", Paper("Xu et al.", 2020, arxiv="1907.05737"))
class Channels(AbstractPartial):
    """Partial channels with edge normalisation, as in PC-DARTS.

    The weights of the part are leading slices of the whole operations' weights. An operation that
    changes the shape runs whole: no channel can pass beside it.
    """

    Options: ClassVar[type[BaseModel]] = ChannelOptions

    def portion(self) -> Portion:
        """Return the options as a portion; one part in one is the whole."""
        divisor = self.options.divisor
        return Portion(
            divisor, self.options.shuffled and divisor > 1, self.options.edge_normalisation
        )

    def misfit(self, fitting: Fitting) -> Misfit | None:
        """Refuse spaces without an operation that can be run on a part of its channels."""
        sites = fitting.mixed_sites()
        kept = [site for site in sites if site.channels == site.outputs and site.stride == 1]
        if not kept:
            return Misfit(
                "no operation that keeps its shape is mixed, so there is no channel to leave out",
                "Offer several operations for nodes or edges with relaxation.operations=mixed, or "
                "use partial 'none'.",
            )
        for site in kept:
            try:
                part_of(site.channels, site.outputs, site.stride, self.options.divisor)
            except ValueError as error:
                return Misfit(
                    f"{error}, at '{site.name}'",
                    "Use widths that the divisor divides, or another partial.divisor.",
                )
        return None
