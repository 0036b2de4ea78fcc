"""Crash on purpose at a named place, so that every crash site can be tested one by one.

`NAS_FAULT=site:n` kills the process with SIGKILL when the n-th pass through `site` is reached;
`*` counts the passes through all sites together. `NAS_FAULT=site:n:full` raises "no space left on
device" there instead. Without the variable a hook costs one dictionary look-up.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from typing import Final

from nas.errors import ConfigError

VARIABLE: Final = "NAS_FAULT"

_passes: Counter[str] = Counter()


def reach(site: str) -> None:
    """Mark that `site` is reached; die here if the environment says so.

    Args:
        site: Name of the place, such as `before_append` or `atomic_before_rename`.

    Raises:
        OSError: With ENOSPC, if the variable asks for a full disk.
        ConfigError: If the variable is not `site:n` or `site:n:full`.
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
    if effect == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.kill(os.getpid(), signal.SIGKILL)


def is_armed(site: str) -> bool:
    """Tell whether `site` can strike: a write is then split in two so that it can be torn."""
    text = os.environ.get(VARIABLE)
    return bool(text) and _parse(text or "")[0] in (site, "*")


def _parse(text: str) -> tuple[str, int, str]:
    site, _, rest = text.partition(":")
    number, _, effect = rest.partition(":")
    if not site or not number.isdecimal() or int(number) < 1 or effect not in ("", "full"):
        raise ConfigError(
            f"{VARIABLE} is '{text}'; it must be 'site:n' or 'site:n:full' with n at least 1.",
            fix=f"Unset {VARIABLE}, or write e.g. {VARIABLE}=before_append:3.",
        )
    return site, int(number), effect


def forget_passes() -> None:
    """Count passes from zero again, as a new process does; for tests that fork."""
    _passes.clear()
