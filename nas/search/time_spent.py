"""How long a piece of work took, with and without waiting for the device.

A training rests while somebody measures on its device, and who measures waits until trainings rest.
The time that passed is what a user sees; the time without waiting is what the work cost, which a
comparison at equal cost counts.
"""

from __future__ import annotations

import time
from typing import final

from nas.training.device_lock import waited_s


@final
class TimeSpent:
    """The time since this was made, on the thread that made it."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._waited = waited_s()

    @property
    def wall_s(self) -> float:
        """Seconds that passed."""
        return time.perf_counter() - self._began

    @property
    def busy_s(self) -> float:
        """Seconds that passed without those spent waiting for the device."""
        return max(0.0, self.wall_s - (waited_s() - self._waited))
