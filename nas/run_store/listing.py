"""All runs of a folder at a glance, and how to remove one."""

from __future__ import annotations

import itertools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nas.errors import NasError, RunError
from nas.run_store import faults, layout
from nas.run_store.atomic import storage_fault, sync_folder
from nas.run_store.lock import RunLock
from nas.run_store.run import Run

_serial: Final = itertools.count()


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs.

    Args:
        path: The folder.
        name: Its name.
        state: created, running, interrupted, finished, failed, damaged, or newer: of a format that
            this version of nas cannot read.
        created: When, UTC, ISO 8601; empty if damaged.
        finished: Number of finished trials.
        failed: Number of failed trials.
        problem: For a damaged or newer run, what is wrong.
    """

    path: Path
    name: str
    state: str
    created: str = ""
    finished: int = 0
    failed: int = 0
    problem: str | None = None


def list_runs(root: Path | str) -> list[RunSummary]:
    """Return the runs in `root`, oldest first; damaged and newer ones are listed as such.

    A folder that does not exist has no runs.
    """
    root = Path(root).expanduser().absolute()
    if not root.is_dir():
        return []
    summaries = [_summarize(path) for path in root.iterdir() if _is_listed(path)]
    return sorted(summaries, key=lambda summary: (summary.created, summary.name))


def _is_listed(path: Path) -> bool:
    """Tell whether a folder is a run, or what is left of one."""
    parts = (layout.LOG, layout.ENVIRONMENT)
    return not path.name.startswith(".") and any((path / name).exists() for name in parts)


def _summarize(path: Path) -> RunSummary:
    try:
        with Run.open(path) as run:
            table = run.table()
            return RunSummary(
                path=path,
                name=path.name,
                state=run.state(),
                created=run.created,
                finished=len(table.finished()),
                failed=len(table.failed()),
            )
    except NasError as error:
        state = unreadable_state(error)
        return RunSummary(path=path, name=path.name, state=state, problem=error.what)


def unreadable_state(error: NasError) -> str:
    """Return the state of a run that cannot be opened, by what opening it said."""
    return "newer" if isinstance(error, layout.NewerFormatError) else "damaged"


def remove_run(path: Path | str) -> None:
    """Delete a run folder.

    It is renamed first, so a kill in the middle leaves no half run behind.

    Raises:
        NotFoundError: If it does not exist.
        RunError: If it is not a run, a link to one, or in use.
        EnvironmentFault: If it cannot be deleted.
    """
    path = Path(path).expanduser().absolute()
    _check_removable(path)
    lock = RunLock(path / layout.LOCK, path.name)
    grave = path.with_name(f"{layout.BUILDING_PREFIX}removed-{os.getpid()}-{next(_serial)}")
    try:
        path.rename(grave)
        faults.reach("remove_after_rename")
        sync_folder(path.parent)
        shutil.rmtree(grave)
    except OSError as error:
        raise storage_fault(error, f"remove the run {path.name}", path) from error
    finally:
        lock.release()


def _check_removable(path: Path) -> None:
    if path.is_symlink():
        raise RunError(
            f"'{path.name}' is a link, not a run folder.",
            where=str(path),
            why="What a link points to may be shared with others.",
            fix="Remove the link by hand, or name the folder itself.",
        )
    if path.is_dir() and layout.is_run(path):
        return
    layout.require_run(path)
