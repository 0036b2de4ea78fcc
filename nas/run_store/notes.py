"""log.jsonl: talk and health of a run, which may be lost and never disturb."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas.run_store import faults
from nas.run_store.atomic import read_bytes
from nas.run_store.creation import now
from nas.run_store.records import Record


def append_note(path: Path, kind: str, fields: dict[str, Any]) -> None:
    """Add a line to the file; what cannot be written is left out."""
    line = {"time": now(), "kind": kind, **fields}
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with suppress(OSError):
        faults.reach("note_before_write")
        descriptor = os.open(path, flags, 0o600)
        try:
            os.write(descriptor, (json.dumps(line, default=str) + "\n").encode())
        finally:
            os.close(descriptor)


def read_notes(path: Path) -> list[Record]:
    """Return the readable lines of the file, oldest first."""
    try:
        lines = read_bytes(path).splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            found.append(json.loads(line))
    return [note for note in found if isinstance(note, dict)]
