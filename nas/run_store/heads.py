"""Config and environment of a run: from their files, or from the log where these are missing.

The first record of the log holds both, so a folder of which they were not copied can still be read,
and `nas doctor RUN --repair` writes them again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from nas.run_store import layout
from nas.run_store.atomic import write_bytes
from nas.run_store.log import holds_a_line, quarantine, scan_log
from nas.run_store.records import Record, Scan, encode

LOST: Final = "every record that was in it, and with them all results"
"""What a log that holds no whole record has lost."""

_logger = logging.getLogger("nas")


@final
@dataclass(frozen=True)
class Head:
    """What a run is: the contents of its run.yaml and its environment.json."""

    config: dict[str, Any]
    environment: dict[str, Any]


def read_head(path: Path) -> Head:
    """Return the head of the run `path`.

    Raises:
        RunError: If a file is damaged, or missing and not in the log either, as in runs of
            versions that did not record them.
    """
    missing = [name for name in layout.missing_parts(path) if name != layout.LOG]
    known = recorded_head(scan_log(path / layout.LOG).records) if missing else None
    if missing and known is None:
        raise layout.incomplete(path, missing)
    environment = (
        layout.check_environment(path, known.environment)
        if known is not None and layout.ENVIRONMENT in missing
        else layout.read_environment(path)
    )
    config = (
        known.config if known is not None and layout.CONFIG in missing else layout.read_config(path)
    )
    return Head(config, environment)


def recorded_head(records: Sequence[Record]) -> Head | None:
    """Return the head that the log holds, or None if it holds none."""
    first = records[0] if records else {}
    config, environment = first.get("config"), first.get("environment")
    if not isinstance(config, dict) or not isinstance(environment, dict):
        return None
    formats = [record["to"] for record in records if record["kind"] == "migrated"]
    head = {
        "schema": str(formats[-1] if formats else first.get("schema")),
        "name": first.get("name"),
        "created": first.get("created"),
    }
    return Head(config, {**head, "environment": environment})


def require_whole(path: Path) -> None:
    """Check that no part is missing of a run that is to be written.

    Raises:
        RunError: Then; it says how the part is made again.
    """
    missing = layout.missing_parts(path)
    if missing:
        known = recorded_head(scan_log(path / layout.LOG).records)
        raise layout.incomplete(path, missing, recorded=known is not None)


def is_emptied(contents: Scan) -> bool:
    """Tell whether a log holds not even the record that every run is created with."""
    return not contents.records and contents.bad is None


def loss_of_records(path: Path, lost: str) -> Record:
    """Warn that the log of the run `path` has lost records at its end; return the record of it."""
    _logger.warning(
        "Run '%s': its log is not as its owner left it. Lost: %s; trials among them are run again. "
        "If there is a longer copy of %s, put it back.",
        path.name,
        lost,
        layout.LOG,
    )
    return {"kind": "repaired", "lost": [lost]}


def begin_emptied_log(path: Path) -> bool:
    """Begin the log of the run `path` anew if it was emptied; return whether it was.

    No killed process leaves such a log: a run has its name only when its first record is on disk.
    The caller holds the run's lock.

    Raises:
        RunError: If run.yaml or environment.json is missing or damaged.
        EnvironmentFault: If the disk is full.
    """
    log = path / layout.LOG
    if holds_a_line(log):
        return False
    contents = scan_log(log)
    require_whole(path)
    found, config = layout.read_environment(path), layout.read_config(path)
    first = {
        "kind": "run_created",
        **{key: value for key, value in found.items() if key != "environment"},
        "config_sha256": layout.config_hash(config),
        "config": config,
        "environment": found.get("environment", {}),
    }
    note: Record = {"kind": "repaired", "lost": [LOST]}
    if contents.torn:
        kept = quarantine(path, "trials-log", contents.torn)
        note["original"] = f"{layout.QUARANTINE}/{kept.name}"
    write_bytes(log, encode(0, first) + encode(1, note))
    _logger.warning(
        "Run '%s': its log was emptied and begins anew. Lost: %s. If there is a copy of %s, "
        "put it back.",
        path.name,
        LOST,
        layout.LOG,
    )
    return True
