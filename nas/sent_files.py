"""Files that a config names and that travelled with it to another machine.

A config keeps the names that the user typed, so that a run is the same run wherever it was
searched. Where the bytes behind a name lie on a machine it was sent to is said beside it, in an
environment variable that every process of the job has.
"""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath
from typing import Final

from nas.errors import ConfigError

VARIABLE: Final = "NAS_SENT_FILES"
"""Environment variable: a JSON object, name in the config to path below the working folder."""


def located(name: str) -> str:
    """Return where a file of a config lies on this machine: the name itself unless it was sent.

    Args:
        name: Path, or `file.py:function`, as in the config.

    Raises:
        ConfigError: If the variable is no object of paths below the working folder.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return name
    try:
        places = json.loads(text)
        place = places.get(name)
    except (ValueError, AttributeError, RecursionError) as error:
        raise _malformed(str(error)) from error
    if place is None:
        return name
    path = PurePosixPath(str(place))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise _malformed(f"{place!r} is not below the working folder")
    return str(Path.cwd() / path)


def _malformed(why: str) -> ConfigError:
    return ConfigError(
        f"The environment variable {VARIABLE} is not what a submission sets.",
        where=VARIABLE,
        why=why,
        fix=f"Unset it: unset {VARIABLE}",
    )
