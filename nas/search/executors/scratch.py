"""Folders of a search outside its run: gone with who had them, also with one that was killed.

Who has one holds a lock in it, which the kernel frees with the process. So whoever makes the next
one, of any kind, removes those of dead processes, and a folder in use can never be among them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

LOCK: Final = "in_use"
"""Name of the file in a folder that who uses it holds a lock on, alone or with others."""


@contextmanager
def scratch_folder(
    what: str, shared: Path | None = None, *, longest: int | None = None
) -> Iterator[Path]:
    """Have a folder of mode 0700 for as long as the block lasts.

    Args:
        what: Whose it is, for its name.
        shared: Where it lies, a folder that other machines see. None takes the folder for temporary
            files, where those that killed processes left are removed; elsewhere nobody can tell
            whether another machine still uses them.
        longest: Characters of the folder for temporary files beyond which `/tmp` is taken.
    """
    parent = shared or Path(tempfile.gettempdir())
    if longest is not None and len(str(parent)) > longest:
        parent = Path("/tmp")  # noqa: S108 - mkdtemp makes a folder of its own in it
    if shared is None:
        sweep(parent)
    folder, lock = _make(parent, scratch_prefix(what))
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def scratch_prefix(what: str) -> str:
    """Return how the names of this user's folders of a kind begin."""
    return f"nas-{what}-{os.getuid()}-"


def sweep(parent: Path) -> list[Path]:
    """Remove this user's folders that no process holds, of whatever kind; return them."""
    removed = []
    for folder in parent.glob(f"{scratch_prefix('*')}*"):
        with suppress(OSError):
            if folder.is_symlink() or folder.lstat().st_uid != os.getuid():
                continue
            with (folder / LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
    return removed


def _make(parent: Path, prefix: str) -> tuple[Path, IO[bytes]]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = (folder / LOCK).open("ab")
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Between the last two lines a sweep may have had the lock, and removed the folder.
        if (folder / LOCK).exists():
            return folder, lock
        lock.close()
