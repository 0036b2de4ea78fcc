"""How the owner of a run of an older format brings it to the format of today.

The originals are kept first, whole, under `originals/`; then log and config are replaced, then
environment.json, whose number says that all is done. A process killed anywhere in between leaves a
run of the old format with its originals beside it, and the next owner does the same again.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nas.errors import EnvironmentFault, RunError
from nas.run_store import faults, layout
from nas.run_store.atomic import (
    TEMPORARY_PREFIX,
    make_folder,
    read_bytes,
    storage_fault,
    sync_folder,
    write_bytes,
    write_json,
    write_text,
)
from nas.run_store.log import read_log
from nas.run_store.migrations import (
    Migration,
    steps_between,
    take_up_config,
    take_up_environment,
    take_up_record,
)
from nas.run_store.records import Record, encode

_MOST_CHANGES: Final = 5
_logger = logging.getLogger("nas")


def migrate(path: Path, before_log: Callable[[], object] = lambda: None) -> None:
    """Bring the run `path` to the newest format; one that has it is left as it is.

    The caller holds the run's lock.

    Args:
        path: The run.
        before_log: Called before its log is written anew.

    Raises:
        RunError: If it is damaged: an old run is repaired before it is migrated.
        EnvironmentFault: If the disk is full; the run is as it was.
    """
    environment = layout.read_environment(path)
    version = layout.version_of(environment)
    if version == layout.VERSION:
        return
    steps = steps_between(version, layout.VERSION)
    records = [take_up_record(steps, record) for record in read_log(path / layout.LOG).records]
    config = layout.read_config(path)
    check_config_unchanged(path, config, records, steps)
    kept = _keep_originals(path, version)
    faults.reach("migrate_after_originals")
    config = take_up_config(steps, config)
    before_log()
    write_bytes(path / layout.LOG, _lines(records, config, _told(version, kept)))
    faults.reach("migrate_after_log")
    write_text(path / layout.CONFIG, layout.config_text(config))
    write_json(path / layout.ENVIRONMENT, _taken_up(environment, steps))
    faults.reach("migrate_after_environment")
    _logger.warning(
        "Run '%s' had the format %s and has %s now; what it was is kept in %s.",
        path.name,
        layout.schema(version),
        layout.schema(layout.VERSION),
        kept,
    )


def _told(version: int, kept: str) -> Record:
    old, new = layout.schema(version), layout.schema(layout.VERSION)
    return {"kind": "migrated", "from": old, "to": new, "originals": kept}


def check_config_unchanged(
    path: Path,
    config: Mapping[str, Any],
    records: Sequence[Record],
    steps: tuple[Migration, ...] = (),
) -> None:
    """Check that the config is what the run was created with, or that taken up by some steps.

    Raises:
        RunError: If it is not.
    """
    expected = records[0].get("config_sha256") if records else None
    known = (config, take_up_config(steps, config))
    if expected is not None and expected not in map(layout.config_hash, known):
        raise RunError(
            f"{layout.CONFIG} of run '{path.name}' was changed after the run was created"
            f"{_changes(records[0].get('config'), config)}.",
            where=str(path / layout.CONFIG),
            why="Its trials were made with the old settings; mixing both is no search.",
            fix=f"Undo the change{_by_itself(path, records)}, or start a new run with the new "
            "settings: nas search.",
        )


def _by_itself(path: Path, records: Sequence[Record]) -> str:
    known = isinstance(records[0].get("config"), Mapping)
    return f" (nas doctor {layout.typed(path)} --repair does so)" if known else ""


def _changes(before: Any, now: Mapping[str, Any]) -> str:
    """Say which keys differ, where the log holds what they were."""
    if not isinstance(before, Mapping):
        return ""
    differing = _differing(before, now)
    found = [f"{key} is {_shown(new)}, was {_shown(old)}" for key, old, new in differing]
    more = f", and {len(found) - _MOST_CHANGES} more" if len(found) > _MOST_CHANGES else ""
    return f": {'; '.join(found[:_MOST_CHANGES])}{more}"


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys((*before, *now)):
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from ((f"{key}.{below}", *values) for below, *values in _differing(old, new))
        elif old != new or (key in before) != (key in now):
            yield key, old, new


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _lines(records: list[Record], config: Mapping[str, Any], told: Record) -> bytes:
    first, *others = records
    if "config_sha256" in first:
        first = {**first, "config_sha256": layout.config_hash(config)}
    if "config" in first:
        first = {**first, "config": dict(config)}
    records = [first, *others] if others[-1:] == [told] else [first, *others, told]
    return b"".join(encode(seq, record) for seq, record in enumerate(records))


def _taken_up(environment: dict[str, Any], steps: tuple[Migration, ...]) -> dict[str, Any]:
    found = take_up_environment(steps, environment)
    return {**found, "schema": layout.schema(layout.VERSION)}


def _keep_originals(path: Path, version: int) -> str:
    """Copy what is about to change, whole or not at all; return the folder's place in the run.

    Raises:
        EnvironmentFault: If the disk is full.
    """
    kept = path / layout.ORIGINALS / layout.schema(version).replace("/", "-")
    if kept.is_dir():  # of an owner that was killed in the middle, and nothing is older
        return str(kept.relative_to(path))
    make_folder(kept.parent)
    for unfinished in kept.parent.glob(f"{TEMPORARY_PREFIX}*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    aside = kept.with_name(f"{TEMPORARY_PREFIX}{kept.name}-{os.getpid()}")
    try:
        make_folder(aside)
        for name in (layout.CONFIG, layout.ENVIRONMENT, layout.LOG):
            write_bytes(aside / name, read_bytes(path / name))
        faults.reach("migrate_before_originals")
        aside.rename(kept)
        sync_folder(kept.parent)
    except EnvironmentFault:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise storage_fault(error, "keep the originals of a migration", kept) from error
    return str(kept.relative_to(path))
