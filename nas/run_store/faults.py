"""Crash on purpose at a named place, so that every crash site can be tested one by one.

`NAS_FAULT=site:n` kills the process with SIGKILL when the n-th pass through `site` is reached;
`*` counts the passes through all sites together. `NAS_FAULT=site:n:full` raises "no space left on
device" there instead, and the other names of `EFFECTS` what disks say too. Without the variable a
hook costs one dictionary look-up. Whatever writes into a run folder passes one of `SITES`, and a
test kills at each of them.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from typing import Final

from nas.errors import ConfigError

VARIABLE: Final = "NAS_FAULT"

SITES: Final = (
    *("before_append", "mid_append", "after_append", "after_fsync"),
    *("atomic_before_write", "atomic_mid_write", "atomic_before_rename"),
    *("atomic_after_rename", "atomic_after_sync"),
    *("create_before_rename", "create_after_rename", "remove_after_rename"),
    *("lock_after_acquire", "torn_before_cut", "note_before_write"),
    *("weights_before_put", "weights_after_put", "weights_before_delete"),
    *("view_before_write", "view_after_write"),
    *("migrate_before_originals", "migrate_after_originals"),
    *("migrate_after_log", "migrate_after_environment"),
    *("repair_before_log", "repair_before_weights"),
    *("lease_before_write", "lease_after_write"),
)
"""Every place that can be named, in groups: log, files, folders, lock, weights, views, formats."""

EFFECTS: Final = {
    "full": errno.ENOSPC,
    "quota": errno.EDQUOT,
    "readonly": errno.EROFS,
    "refused": errno.EACCES,
    "broken": errno.EIO,
    "gone": errno.ENOENT,
}
"""What may happen at a place instead of a kill, by name: the error of the operating system."""

_passes: Counter[str] = Counter()


def reach(site: str) -> None:
    """Mark that `site` is reached; die here if the environment says so.

    Args:
        site: Name of the place, such as `before_append` or `atomic_before_rename`.

    Raises:
        OSError: If the variable asks for one of `EFFECTS`.
        ConfigError: If the variable is not `site:n` or `site:n:effect`.
    """
    text = os.environ.get(VARIABLE)
    if text:
        _strike(text, site)


def _strike(text: str, site: str) -> None:
    wanted, count, effect = _parse(text)
    if wanted not in (site, "*"):
        return
    _passes[wanted] += 1
    if _passes[wanted] != count:
        return
    if effect:
        raise OSError(EFFECTS[effect], os.strerror(EFFECTS[effect]))
    os.kill(os.getpid(), signal.SIGKILL)


def is_armed(site: str) -> bool:
    """Tell whether `site` can strike: a write is then split in two so that it can be torn."""
    text = os.environ.get(VARIABLE)
    return bool(text) and _parse(text or "")[0] in (site, "*")


def _parse(text: str) -> tuple[str, int, str]:
    site, _, rest = text.partition(":")
    number, _, effect = rest.partition(":")
    known = site in (*SITES, "*") and effect in ("", *EFFECTS)
    if not known or not number.isdecimal() or int(number) < 1:
        raise ConfigError(
            f"{VARIABLE} is '{text}'; it must be 'site:n' or 'site:n:effect' with n at least 1.",
            why=f"Sites are *, {', '.join(SITES)}; effects are {', '.join(EFFECTS)}.",
            fix=f"Unset {VARIABLE}, or write e.g. {VARIABLE}=before_append:3.",
        )
    return site, int(number), effect


def forget_passes() -> None:
    """Count passes from zero again, as a new process does; for tests that fork."""
    _passes.clear()
