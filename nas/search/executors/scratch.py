"""Folders that Ray and Tune store into: gone with who had them, also with one that was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_LOCK: Final = "in_use"


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
    prefix = f"nas-{what}-{os.getuid()}-"
    if shared is None:
        sweep(parent, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with (folder / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(parent: Path, prefix: str) -> list[Path]:
    """Remove this user's folders whose process is dead; the kernel has freed their locks."""
    removed = []
    for folder in parent.glob(f"{prefix}*"):
        with suppress(OSError):
            if folder.lstat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
    return removed
