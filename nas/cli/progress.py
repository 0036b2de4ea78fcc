"""Progress of long work, with rate and time left: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from nas.cli.output import is_talkative, talk

if TYPE_CHECKING:
    from rich.progress import Progress

_SECONDS_BETWEEN_LINES = 10.0


class AbstractProgress(ABC):
    """Counts finished steps of one piece of work."""

    @abstractmethod
    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Show that `done` steps of `total` are finished; `note` says what came of the last."""


@final
class SilentProgress(AbstractProgress):
    """Shows nothing: `--quiet`."""

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Do nothing."""


@final
class _Pace:
    """The rate of the work that this process did: what a resumed run had before is not its own.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first: tuple[int, float] | None = None

    def rate(self, done: int) -> float:
        """Return steps per second since the first call, 0 while there are none."""
        now = self._clock()
        if self._first is None:
            self._first = (done, now)
        steps, seconds = done - self._first[0], now - self._first[1]
        return steps / seconds if steps > 0 and seconds > 0 else 0.0


@final
class LineProgress(AbstractProgress):
    """A line now and then, for logs and pipes.

    Args:
        label: What is going on.
        total: Steps in all, None when unknown.
        unit: Plural noun of a step.
        clock: Seconds that only grow.
        started: When the work began on that clock, by default now.
    """

    def __init__(
        self,
        label: str,
        total: int | None,
        unit: str,
        clock: Callable[[], float] = time.monotonic,
        started: float | None = None,
    ) -> None:
        self._label = label
        self._total = total
        self._unit = unit
        self._clock = clock
        self._started = self._spoken = clock() if started is None else started
        self._pace = _Pace(clock)
        self._last = 0

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Print when enough time has passed, or at the end."""
        self._total = total if total is not None else self._total
        now = self._clock()
        rate = self._pace.rate(done)
        finished = done == self._total and done != self._last
        if not finished and now - self._spoken < _SECONDS_BETWEEN_LINES:
            return
        self._spoken, self._last = now, done
        talk(
            describe_progress(
                self._label,
                done,
                self._total,
                self._unit,
                now - self._started,
                note,
                rate=rate,
            )
        )


@final
class BarProgress(AbstractProgress):
    """A bar on a terminal."""

    def __init__(
        self,
        bars: Progress,
        label: str,
        total: int | None,
        unit: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bars = bars
        self._unit = unit
        self._pace = _Pace(clock)
        self._task = bars.add_task(label, total=total, rate="")

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Move the bar."""
        pace = self._pace.rate(done)
        rate = f"{pace:.3g} {self._unit}/s  {note}" if pace else note
        if total is not None:
            self._bars.update(self._task, total=total)
        self._bars.update(self._task, completed=done, rate=rate)


@contextmanager
def show_progress(
    label: str, total: int | None = None, unit: str = "steps", started: float | None = None
) -> Iterator[AbstractProgress]:
    """Show one piece of long work while the block runs.

    Args:
        label: What is going on, such as `training the supernet`.
        total: Steps in all, None when unknown.
        unit: Plural noun of a step.
        started: When the work began, on `time.monotonic`; by default now.
    """
    if not is_talkative():
        yield SilentProgress()
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(file=sys.stderr)) as bars:
            yield BarProgress(bars, label, total, unit)
    else:
        yield LineProgress(label, total, unit, time.monotonic, started)


def describe_progress(
    label: str,
    done: int,
    total: int | None,
    unit: str,
    seconds: float,
    note: str = "",
    *,
    rate: float | None = None,
) -> str:
    """Return `label: 120/300 steps, 14.2 steps/s, 13 s left`.

    Args:
        label: What is going on.
        done: Steps finished.
        total: Steps in all, None when unknown.
        unit: Plural noun of a step.
        seconds: Time since the work began.
        note: What came of the last step.
        rate: Steps per second, by default `done / seconds`; 0 is not known yet.
    """
    parts = [f"{label}: {done}/{total} {unit}" if total is not None else f"{label}: {done} {unit}"]
    if rate is None and seconds > 0:
        rate = done / seconds
    if rate:
        parts.append(f"{rate:.3g} {unit}/s")
    if rate and total is not None and total > done:
        parts.append(f"{format_duration((total - done) / rate)} left")
    elif done > 0 and seconds > 0 and (total is None or total <= done):
        parts.append(f"after {format_duration(seconds)}")
    if note:
        parts.append(note)
    return ", ".join(parts)


def format_duration(seconds: float) -> str:
    """Return a time span for reading: `13 s`, `2 min 05 s`, `1 h 03 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
