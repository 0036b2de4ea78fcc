"""When to stop: a signal, `nas stop`, or the time limit. The work asks, nothing is cut off."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal, final

Reason = Literal["signal", "stop", "time"]

_log = logging.getLogger("nas")
_POLL_S = 0.5


@final
class Stopper:
    """Answers whether to stop; once yes, always yes.

    Args:
        requested: Asked twice a second: whether somebody called `nas stop`.
        time_limit_s: Seconds from now after which to stop; None for no limit.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        requested: Callable[[], bool] = lambda: False,
        time_limit_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reason: Reason | None = None
        self.signal_name = ""
        self._requested = requested
        self._clock = clock
        self._deadline = None if time_limit_s is None else clock() + time_limit_s
        self._next_look = 0.0

    def __call__(self) -> bool:
        """Tell whether to stop."""
        now = self._clock()
        if self.reason is None and self._deadline is not None and now >= self._deadline:
            self.reason = "time"
        if self.reason is None and now >= self._next_look:
            self._next_look = now + _POLL_S
            if self._requested():
                self.reason = "stop"
        return self.reason is not None

    def interrupt(self, number: int) -> None:
        """Note a signal."""
        self.reason = "signal"
        self.signal_name = signal.Signals(number).name

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch SIGINT and SIGTERM inside the block: the first asks, the second ends at once.

        Signals reach the main thread only; elsewhere the block runs without them.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.getsignal(number) for number in numbers}

        def handle(number: int, frame: FrameType | None) -> None:
            self.interrupt(number)
            for each in numbers:
                signal.signal(each, hurry)
            _log.warning("stopping: saving the state; press Ctrl-C again to stop at once")

        def hurry(number: int, frame: FrameType | None) -> None:
            for each in numbers:
                signal.signal(each, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        for number in numbers:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number in numbers:
                signal.signal(number, before[number] or signal.SIG_DFL)
