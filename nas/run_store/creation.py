"""How a run folder comes into being: built aside, complete, then given its name.

A killed process leaves a folder whose name begins with a dot; the next `prepare_root` removes it
when it is a minute old and nobody holds its lock.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from nas.errors import RunError
from nas.run_store import layout
from nas.run_store.atomic import (
    PROBE_PREFIX,
    is_real_folder,
    probe_writable,
    storage_fault,
    sync_folder,
    write_bytes,
    write_json,
    write_text,
)
from nas.run_store.lock import owner_of
from nas.run_store.records import encode

_STALE_AFTER_S: Final = 60.0


def now() -> str:
    """Return the time as a label: UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def prepare_root(root: Path) -> Path:
    """Make the folder of runs if needed, and find out whether it can be written.

    Raises:
        EnvironmentFault: If the disk is full or read-only.
    """
    root = root.expanduser().absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_fault(error, f"make the folder of runs {root.name}", root) from error
    probe_writable(root)
    _sweep(root)
    return root


def _sweep(root: Path) -> None:
    """Remove what a killed process left: folders it was building or removing, a probe."""
    for older in root.glob(f"{layout.REPLACED_PREFIX}*"):
        with suppress(OSError):
            _put_back(older)
    for leftover in (*root.glob(f"{layout.BUILDING_PREFIX}*"), *root.glob(f"{PROBE_PREFIX}*")):
        with suppress(OSError):
            age = datetime.now(UTC).timestamp() - leftover.lstat().st_mtime
            if age <= _STALE_AFTER_S or owner_of(leftover / layout.LOCK) is not None:
                continue
            if is_real_folder(leftover):
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink()


def _put_back(older: Path) -> None:
    """Give a copy its name back whose replacement never came; remove it if that did."""
    target = older.with_name(older.name.removeprefix(layout.REPLACED_PREFIX))
    if owner_of(older / layout.LOCK) is not None:
        return
    if os.path.lexists(target):
        shutil.rmtree(older, ignore_errors=True)
    else:
        older.rename(target)


def fill_folder(
    folder: Path, name: str, config: Mapping[str, Any], environment: Mapping[str, Any]
) -> None:
    """Write the files of a new run into `folder`.

    Raises:
        RunError: If config or environment are not plain values.
        EnvironmentFault: If the disk is full.
    """
    write_text(folder / layout.CONFIG, layout.config_text(config))
    head = layout.head(name, now())
    try:
        write_json(folder / layout.ENVIRONMENT, {**head, "environment": dict(environment)})
    except (TypeError, ValueError) as error:
        raise RunError(
            f"The environment of a run cannot be kept: {error}.",
            why="environment.json holds plain values: text, finite numbers, lists and mappings.",
            fix="Convert the value before the run is created.",
        ) from error
    # All of both files stands in the log, too, so that the log alone is enough.
    record = {
        "kind": "run_created",
        **head,
        "config_sha256": layout.config_hash(config),
        "config": dict(config),
        "environment": dict(environment),
    }
    write_bytes(folder / layout.LOG, encode(0, record))


def move_into_place(aside: Path, target: Path) -> None:
    """Give a complete folder its name.

    Raises:
        RunError: If the name is taken.
        EnvironmentFault: If the rename fails.
    """
    try:
        # A folder in the way is a run and never empty, so the rename fails instead of replacing.
        aside.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        if os.path.lexists(target):
            raise name_taken(target) from error
        raise storage_fault(error, f"create the run {target.name}", target) from error


def name_taken(target: Path) -> RunError:
    """Build the error for a name that a run has already."""
    shown = layout.typed(target)
    return RunError(
        f"The name '{target.name}' is taken.",
        where=str(target),
        why="A run is never overwritten.",
        fix=f"Choose another --name, go on with `nas resume {shown}`, or remove it with "
        f"`nas runs rm {shown}`.",
    )
