"""The likeliest option of every choice, and the edges whose normalised gate is at least a half."""

from __future__ import annotations

from typing import final

from nas.registry import Paper
from nas.space import Decisions
from nas.supernet.discretisations import DISCRETISATIONS, AbstractDiscretisation, Trained
from nas.supernet.relaxation import Context


@final
@DISCRETISATIONS.register("threshold", Paper("Liu et al.", 2019, arxiv="1806.09055"))
class Threshold(AbstractDiscretisation):
    """As every gate sampler settles its own choices; looks at no image."""

    def settle(self, trained: Trained, context: Context) -> Decisions:
        """Return what the gate samplers settle on."""
        return trained.relaxation.discretise(context)
