"""Runs that were read: kept as long as their logs stand still, so that a run is read once.

A run that grew is followed from where its last reading ended. Readings of one run share its table,
so they are made and used by one thread at a time.
"""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from nas.run_store import Run

from ..documents import Reading, document, increment
from ..documents.networks import trial_network
from ..documents.routes import reading_guard
from ..documents.runs import runs_document
from .addresses import Address, run_path
from .exports import check_no_code
from .files import LIGHT
from .folder import Fingerprint, Folder

MOST_READINGS: Final = 8
"""Runs that are kept read; one of 10,000 trials takes some 200 MB."""

_MANY_VALUES: Final = 200_000
"""New values from which looking at them for garbage is felt."""


@final
@dataclass
class _Kept:
    """One run: who reads it now, and what was read."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    fingerprint: Fingerprint | None = None
    reading: Reading | None = None


@final
class Readings:
    """Makes documents out of runs, and keeps the runs.

    Args:
        folder: The folder of runs.
        most: Runs that are kept.
    """

    def __init__(self, folder: Folder, most: int = MOST_READINGS) -> None:
        self._folder = folder
        self._most = most
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._overviews: dict[str, tuple[Fingerprint, dict[str, Any]]] = {}
        self._mutex = threading.Lock()

    def document(self, address: Address) -> dict[str, Any]:
        """Return the document or the increment of an address.

        Raises:
            NasError: As the document raises it.
        """
        if not address.runs:
            names = sorted(self._folder.names())
            for gone in self._overviews.keys() - set(names):
                self._overviews.pop(gone, None)
            return runs_document(self._folder.path, [self._overview(name) for name in names])
        with self._alone(address.runs):
            if address.kind == "events":
                after = -1 if address.after is None else address.after
                return increment(self._reading(self._folder.path, address.runs[0]), after)
            return document(self._folder.path, address.path, self._reading)

    def light_file(self, address: Address) -> bytes:
        """Return a file of a trial that needs no torch.

        Raises:
            NasError: If there is no such trial or network.
        """
        assert address.trial is not None and address.format is not None
        with self._alone(address.runs):
            reading = self._reading(self._folder.path, address.runs[0])
            with reading_guard(reading.name):
                network = trial_network(reading, reading.trial(address.trial))
            title = f"{reading.name}, trial {address.trial}"
            return LIGHT[address.format].write(network, title)

    def check_export(self, address: Address) -> None:
        """Check that a trial's network may be exported from here.

        Raises:
            NotFoundError: If there is no such trial.
            RunError: If exporting it would start code of the run.
        """
        assert address.trial is not None
        with self._alone(address.runs):
            reading = self._reading(self._folder.path, address.runs[0])
            reading.trial(address.trial)
            check_no_code(reading.run.config)

    def _overview(self, name: str) -> dict[str, Any]:
        """Return what the list of runs tells of one; of most runs it was made already."""
        now = self._folder.fingerprint(name)
        known = self._overviews.get(name)
        if known is not None and known[0] == now:
            return known[1]
        with self._alone((name,)):
            made = document(self._folder.path, run_path(name), self._reading)
        self._overviews[name] = (now, made)
        return made

    @contextmanager
    def _alone(self, names: tuple[str, ...]) -> Iterator[None]:
        """Be the only one who reads these runs; always in one order, or two would wait for ever."""
        with ExitStack() as locks:
            for name in sorted(names):
                locks.enter_context(self._of(name).lock)
            yield

    def _of(self, name: str) -> _Kept:
        with self._mutex:
            kept = self._kept.setdefault(name, _Kept())
            self._kept.move_to_end(name)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return kept

    def _reading(self, runs: Path, name: str) -> Reading:
        """Return a run as it stands now.

        Raises:
            NasError: If it cannot be read.
        """
        path = self._folder.run(name)
        kept = self._of(name)
        with kept.lock:
            now = self._folder.fingerprint(name)
            if kept.reading is None or kept.fingerprint != now:
                old, kept.reading = kept.reading, None
                goes_on = old is not None and now.follows(kept.fingerprint)
                with reading_guard(name), _unwatched():
                    kept.reading = Reading(old.run if old and goes_on else Run.open(path))
                kept.fingerprint = now
            return kept.reading


@contextmanager
def _unwatched() -> Iterator[None]:
    """Read a run without the garbage collector, and keep it away from what was read.

    A run of 10,000 trials has millions of values and no cycles: each look at them costs a viewer
    half a second. What is frozen is still freed when nobody uses it.
    """
    gc.disable()
    before = gc.get_count()[0]
    try:
        yield
        if gc.get_count()[0] - before > _MANY_VALUES:
            gc.freeze()
    finally:
        gc.enable()
