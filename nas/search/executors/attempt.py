"""The attempt at a job that this thread is in: who performs it and the task tell each other here.

A task is called with JSON alone. One that can be left in the middle asks here whether it should be,
and one that goes on from an earlier attempt says here how long that took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, final

LEFT: Final = "left"
"""Reason of a job that was left so that it can be gone on with; it has no end yet."""

TALK: Final = "nas.trainings"
"""Logger of what trainings say of being left and gone on with; workers send it to the driver."""


class JobLeft(Exception):
    """The task was asked to stop, and where it stands is kept; a signal, no failure."""


def never() -> bool:
    """Return False: nobody asks to stop."""
    return False


@final
@dataclass
class Attempt:
    """One attempt at a job.

    Args:
        should_stop: Whether a job that can be left should be.
        earlier_s: What earlier attempts cost that this one goes on from, in seconds.
    """

    should_stop: Callable[[], bool] = never
    earlier_s: float = 0.0


_current: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


def current_attempt() -> Attempt:
    """Return the attempt that this thread is in; a new one where it is in none."""
    return _current.get() or Attempt()


@contextmanager
def attempting(should_stop: Callable[[], bool]) -> Iterator[Attempt]:
    """Be in an attempt for as long as the block lasts."""
    attempt = Attempt(should_stop)
    token = _current.set(attempt)
    try:
        yield attempt
    finally:
        _current.reset(token)
