"""Config and environment of a run: from their files, or from the log where these are missing.

The first record of the log holds both, so a folder of which they were not copied can still be read,
and `nas doctor RUN --repair` writes them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from nas.run_store import layout
from nas.run_store.log import scan_log
from nas.run_store.records import Record


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
