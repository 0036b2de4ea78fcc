"""The folder of runs as the server may see it: real folders by their names, and when they changed.

Only names that the folder itself lists are ever joined to a path, and a link is no run. What a run
says is read when its fingerprint changed: the sizes and times of its logs, who owns it, and the
folder's own time, which moves when a view is replaced.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from nas.errors import NotFoundError, RunError
from nas.run_store import layout
from nas.run_store.lock import owner_of

LARGEST: Final[Mapping[str, int]] = {
    layout.LOG: 1 << 30,
    layout.NOTES: 1 << 28,
    layout.ENVIRONMENT: 1 << 24,
    layout.CONFIG: 1 << 20,
}
"""Bytes of a file that the server still reads; a search of 10,000 trials writes some 50 MB."""


@dataclass(frozen=True)
class Fingerprint:
    """What tells one state of a run on disk from another.

    Args:
        log: The log's file, size in bytes and time in ns; a log that was copied anew is another.
        rest: The same of the notes, and of the folder.
        owned: Whether a living process owns the run.
    """

    log: tuple[int, ...]
    rest: tuple[tuple[int, ...], ...]
    owned: bool

    def follows(self, earlier: Fingerprint | None) -> bool:
        """Tell whether the log is the one of an earlier state, at most longer."""
        if earlier is None or not self.log or not earlier.log:
            return False
        return self.log[:2] == earlier.log[:2] and self.log[2] >= earlier.log[2]


@final
class Folder:
    """A folder of runs.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._listed: tuple[int, frozenset[str]] | None = None

    def names(self) -> frozenset[str]:
        """Return the names of everything that looks like a run, damaged ones included."""
        try:
            # A run that appears in the same tick as the listing must not stay unseen.
            before = self.path.stat().st_mtime_ns
            if self._listed is None or self._listed[0] != before:
                with os.scandir(self.path) as entries:
                    found = frozenset(entry.name for entry in entries if _is_run(entry))
                settled = self.path.stat().st_mtime_ns == before
                self._listed = (before if settled else -1, found)
        except FileNotFoundError:
            return frozenset()
        return self._listed[1]

    def run(self, name: str) -> Path:
        """Return the folder of a run.

        Args:
            name: What was asked for; it is compared, never joined to a path by itself.

        Raises:
            NotFoundError: If the folder has no such run.
            RunError: If a file of it is too large to be read here.
        """
        self.check_name(name)
        path = self.path / name
        check_sizes(path)
        return path

    def check_name(self, name: str) -> None:
        """Check that the folder lists a name.

        Raises:
            NotFoundError: If it does not.
        """
        if name not in self.names():
            raise NotFoundError(
                f"There is no run {name!a} in this folder.",
                fix="Start at the list of all runs: /",
            )

    def fingerprint(self, name: str) -> Fingerprint:
        """Return what a run is like on disk now."""
        path = self.path / name
        return Fingerprint(
            _mark(path / layout.LOG),
            (_mark(path / layout.NOTES), _mark(path)),
            owner_of(path / layout.LOCK) is not None,
        )


def check_sizes(path: Path) -> None:
    """Refuse a run with a file that would fill the memory, before anything of it is read.

    Raises:
        RunError: If a file is too large.
    """
    for name, largest in LARGEST.items():
        try:
            size = (path / name).lstat().st_size
        except OSError:
            continue
        if size > largest:
            raise RunError(
                f"{name} has {size:,} bytes; the dashboard reads up to {largest:,}.",
                where=path.name,
                fix="Look at the run with nas front and nas runs show.",
            )


def _is_run(entry: os.DirEntry[str]) -> bool:
    # A name that is no text has no address.
    if entry.name.startswith(".") or not entry.name.isprintable():
        return False
    if not entry.is_dir(follow_symlinks=False):
        return False
    return os.path.lexists(Path(entry.path) / layout.LOG)


def _mark(path: Path) -> tuple[int, ...]:
    try:
        found = path.lstat()
    except OSError:
        return ()
    return (found.st_ino, stat.S_IFMT(found.st_mode), found.st_size, found.st_mtime_ns)
