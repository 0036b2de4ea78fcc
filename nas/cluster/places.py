"""Where things of clusters are kept on a machine: small facts in the user's state folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

# Unix sockets have names of at most 107 bytes (104 on macOS), and Ray's session adds up to 75.
_LONGEST_TEMPORARY: Final = 20


def state_folder() -> Path:
    """Return `$XDG_STATE_HOME/nas`, by default `~/.local/state/nas`; it need not exist."""
    given = os.environ.get("XDG_STATE_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    return base / "nas"


def submitted_runs() -> Path:
    """Return where runs of submitted searches lie on a cluster unless a folder is given."""
    return state_folder() / "submitted-runs"


def make_private(folder: Path) -> Path:
    """Make a folder, its own to the user, and return it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def short_temporary_folder() -> Path:
    """Return a new folder of mode 0700 whose path leaves room for Ray's sockets."""
    base = tempfile.gettempdir()
    if len(base.encode()) > _LONGEST_TEMPORARY:
        base = "/tmp"  # noqa: S108 - mkdtemp makes a folder of its own in it, of mode 0700
    return Path(tempfile.mkdtemp(prefix="nas-", dir=base))
