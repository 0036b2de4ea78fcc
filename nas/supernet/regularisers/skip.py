"""Probability of operations without weights: a positive factor holds them back.

Gates learn faster than weights, so that early in a search an identity looks better than any
convolution that still has to learn, and the search collapses onto it. The term takes that back; a
factor that falls (`start` above `strength`) lets skips return once the weights have learned.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from nas.registry import Paper
from nas.space import Choice, OneOf
from nas.supernet.binding import role
from nas.supernet.declared_parts import Misfit
from nas.supernet.fitting import Fitting, every_choice
from nas.supernet.regularisers import REGULARISERS, AbstractRegulariser
from nas.supernet.relaxation import Context, Relaxation
from nas.topology.operations import OPERATIONS


@final
@REGULARISERS.register("skip", Paper("Chu et al.", 2021, arxiv="2009.01027"))
class Skip(AbstractRegulariser):
    """Mean probability of identities and pools, over the choices that also offer weights, 0 to 1.

    An absent edge is no skip and is not charged.
    """

    def misfit(self, fitting: Fitting) -> Misfit | None:
        """Refuse spaces without a choice between operations with and without weights."""
        if any(free_options(choice) for choice in every_choice(fitting.space)):
            return None
        return Misfit(
            "no choice offers operations with weights beside some without",
            "Leave it out, or offer 'identity' among a node's operations.",
        )

    def term(self, relaxation: Relaxation, context: Context) -> Tensor:
        """Return the mean over the context's choices; 0 where none offers both."""
        shares: list[Tensor] = []
        for choice in relaxation.space.asked(context.base):
            free = free_options(choice)
            if free:
                shares.append(relaxation.probabilities(choice)[free].sum())
        return torch.stack(shares).mean() if shares else relaxation.logits.new_zeros(())


def free_options(choice: Choice) -> list[int]:
    """Return the numbers of a choice's operations without weights; none where all are."""
    if not isinstance(choice, OneOf) or role(choice) != "operation":
        return []
    kinds = [OPERATIONS.get(str(option.value)) for option in choice.options]
    if not any(kind.parametric for kind in kinds):
        return []
    return [number for number, kind in enumerate(kinds) if not kind.parametric and not kind.zero]
