"""The contract of callbacks, and how a search tells them without depending on them."""

from __future__ import annotations

import abc
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from nas.run_store import Run
from nas.search.progress import Listener, StageProgress

if TYPE_CHECKING:
    from nas.search.exports.scalars import Scalar, ScalarReader

FILES: Final = ("run.yaml", "front.csv", "front.json", "report.html")
"""Small files of a run that are worth keeping beside its numbers."""

_log = logging.getLogger("nas")


class AbstractCallback(abc.ABC):
    """Is told of one search at a time; may raise, which ends its part in that search."""

    @abc.abstractmethod
    def start(self, run: Run) -> None:
        """Begin with a run, opened for reading."""

    @abc.abstractmethod
    def tell(self, scalars: Sequence[Scalar]) -> None:
        """Take in numbers that are new, at least one."""

    @abc.abstractmethod
    def end(self, run: Run) -> None:
        """Close in good order; `run.state()` says how the search ended."""


@contextmanager
def telling(
    path: Path, callbacks: Sequence[AbstractCallback], listener: Listener
) -> Iterator[Listener]:
    """Give the listener of a search that tells callbacks what is new at each of its steps.

    Args:
        path: Folder of the run.
        callbacks: Who is told.
        listener: Who is told how far each stage is, first and whatever the callbacks do.
    """
    from nas.search.exports.scalars import ScalarReader

    if not callbacks:
        yield listener
        return
    run = Run.open(path)
    active = [_Guarded(callback, ScalarReader(run)) for callback in callbacks]
    for each in active:
        each.start()

    def listen(progress: StageProgress) -> None:
        listener(progress)
        for each in active:
            each.tell()

    try:
        yield listen
    finally:
        for each in active:
            each.tell()
            each.end()
        run.close()


@final
class _Guarded:
    """A callback whose failure costs nothing but itself."""

    def __init__(self, callback: AbstractCallback, reader: ScalarReader) -> None:
        self._callback = callback
        self._reader = reader
        self._works = True

    def start(self) -> None:
        """Begin."""
        with self._guard():
            self._callback.start(self._reader.run)

    def tell(self) -> None:
        """Tell what is new."""
        with self._guard():
            if self._works and (news := self._reader.news()):
                self._callback.tell(news)

    def end(self) -> None:
        """End."""
        with self._guard():
            if self._works:
                self._callback.end(self._reader.run)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of a service that the search does not depend on
            self._works = False
            name = type(self._callback).__name__
            _log.warning(
                "%s is left out from now on, the search goes on: %s: %s",
                name,
                type(error).__name__,
                " ".join(str(error).split())[:300],
            )
