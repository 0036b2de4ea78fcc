"""The stages of a search on the terminal: one bar, or lines, per stage."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self, final

from nas.cli.progress import AbstractProgress, show_progress

if TYPE_CHECKING:
    from nas.search.progress import StageProgress

_LABELS = {
    "prepare": "preparing",
    "relax": "relaxing wirings",
    "supernet": "training the supernet",
    "explore": "exploring",
    "measure": "measuring the front",
    "random_halving": "random search at equal cost",
    "random_weight_sharing": "random search over shared weights at equal cost",
    "confirm seeds A": "retraining the shortlist and its rivals",
    "confirm seeds B": "testing the named networks",
    "confirm recipes": "retraining them under other recipes",
    "report": "writing the report",
    "rank-train": "training members alone",
    "rank-score": "scoring members",
    "rank-untrained": "scoring untrained networks",
}


@final
class StageDisplay:
    """Shows what the driver tells; use it in a `with` statement and pass `show` as listener."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._told_at = time.monotonic()
        self._context: AbstractContextManager[AbstractProgress] | None = None
        self._progress: AbstractProgress | None = None

    def show(self, told: StageProgress) -> None:
        """Show where a stage stands; a new stage begins a new display."""
        if told.stage != self._stage:
            self._end()
            self._stage = told.stage
            label = _LABELS.get(told.stage, told.stage)
            # A stage tells first when its first step is done; it began when the last one told.
            self._context = show_progress(label, told.total, told.unit, self._told_at)
            self._progress = self._context.__enter__()
        assert self._progress is not None
        self._progress.update(told.done, told.total, told.note)
        self._told_at = time.monotonic()

    def _end(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            context.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
