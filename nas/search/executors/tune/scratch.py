"""The folder that Tune stores into: gone with the experiment, also with one that was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "nas-tune-"
_LOCK: Final = "in_use"


@contextmanager
def scratch_folder(shared: Path | None) -> Iterator[Path]:
    """Have a folder of mode 0700 for one experiment.

    Args:
        shared: Where it lies, a folder that other machines see. None takes the folder for temporary
            files, where those that killed experiments left are removed; elsewhere nobody can tell
            whether another machine still uses them.
    """
    parent = shared or Path(tempfile.gettempdir())
    if shared is None:
        sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getuid()}-", dir=parent))
    try:
        with (folder / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(parent: Path) -> list[Path]:
    """Remove this user's folders whose experiment is dead; the kernel has freed their locks."""
    removed = []
    for folder in parent.glob(f"{_PREFIX}{os.getuid()}-*"):
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
    return removed
