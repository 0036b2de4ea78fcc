"""One-level training: weights and gates learn from one pass on the weights' images."""

from __future__ import annotations

from typing import final

from nas.registry import Paper
from nas.supernet.alternations import ALTERNATIONS, AbstractAlternation


@final
@ALTERNATIONS.register("one_level", Paper("Bi et al.", 2020, arxiv="2007.03331"))
class OneLevel(AbstractAlternation):
    """Both move on the gradient of one loss, as in GOLD-NAS; half the time of two levels."""
