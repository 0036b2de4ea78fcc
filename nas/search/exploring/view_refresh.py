"""Views while a search goes on: brought up to date as often as that costs little beside the trials.

What a front costs grows with the trials behind it: of ten thousand it takes seconds, after every
batch longer than the batch. A view that is behind misleads nobody, since whoever looks at a running
search reads its log.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, final

from nas.run_store import Run, rebuild_views

SHARE: Final = 0.05
"""Most of the time of a search that its views take."""


@final
class ViewRefresh:
    """Makes the views of a run again unless that was done just now.

    Args:
        run: The run, owned.
        clock: Seconds, monotonic.
    """

    def __init__(self, run: Run, clock: Callable[[], float] = time.perf_counter) -> None:
        self._run = run
        self._clock = clock
        self._due = -math.inf

    def refresh(self) -> None:
        """Make the views again, if it is time."""
        started = self._clock()
        if started >= self._due:
            rebuild_views(self._run)
            ended = self._clock()
            self._due = ended + (ended - started) * (1 / SHARE - 1)
