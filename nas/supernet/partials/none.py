"""Nothing is partial: whole states go through every mixed operation."""

from __future__ import annotations

from typing import final

from nas.supernet.partials import PARTIALS, AbstractPartial


@final
@PARTIALS.register("none")
class Whole(AbstractPartial):
    """All channels."""
