"""Whether code that a file names may be started: plugins, and functions that return data.

Who types a command trusts the files he names. A process that works on files of strangers, as a
download of the dashboard does, says no once for everything below it.
"""

from __future__ import annotations

import os
from typing import Final

from nas.errors import RunError

NO_CODE: Final = "NAS_NO_FOREIGN_CODE"
"""Environment variable: `1` forbids it to a process and its children."""


def check_may_start(what: str, where: str) -> None:
    """Refuse code that is no part of this package, where that was forbidden.

    Args:
        what: What would be started, as in "the plugin 'x'".
        where: What names it.

    Raises:
        RunError: If it was forbidden.
    """
    if os.environ.get(NO_CODE) == "1":
        raise RunError(
            f"This needs {what}, and no code of a run is started from here.",
            where=where,
            fix="Type the command in a terminal, where you trust the run.",
        )
