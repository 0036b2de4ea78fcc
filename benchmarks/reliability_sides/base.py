"""What a side of the comparison is: a toy search that can be killed, resumed and looked at.

Every side runs the same number of trials of the same length, one at a time, on the same disk, and
is killed at the same fractions of its own uninterrupted time.
"""

from __future__ import annotations

import abc
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

TRIALS: Final = 20
TRIAL_S: Final = 0.016
"""A short trial: storage takes a larger share of a run than it does in earnest."""
SEED: Final = 7

EVALUATED: Final = "evaluated"
ACKNOWLEDGED: Final = "acknowledged"


@dataclass(frozen=True)
class Outcome:
    """What a side has on disk at the end.

    Args:
        finished: Results by trial, in the order of the search.
        open: Trials that are still said to run.
        doubled: Trials with more than one result.
        front: The front as the side tells it.
    """

    finished: Mapping[str, Any] = field(default_factory=dict)
    open: int = 0
    doubled: int = 0
    front: Any = None

    def same(self, other: Outcome) -> bool:
        """Tell whether trials, their results and the front are equal."""
        return _text(self) == _text(other)


def _text(outcome: Outcome) -> str:
    return json.dumps([list(outcome.finished.items()), outcome.front], default=str)


class AbstractSide(abc.ABC):
    """One search with its storage, in a folder."""

    name: str
    file: str
    """Where trials are kept, below the folder."""

    @abc.abstractmethod
    def search(self, folder: Path) -> None:
        """Begin in an empty folder or go on in one with a search in it, to the end of `TRIALS`.

        It notes in the folder each evaluation, and each trial that it said to be recorded.
        """

    @abc.abstractmethod
    def outcome(self, folder: Path) -> Outcome:
        """Return what is there; any exception counts as a search that cannot be read."""

    def unlock(self, folder: Path) -> None:  # noqa: B027
        """Do by hand what frees a search that waits for a dead owner's lock."""


def note(folder: Path, kind: str, entry: Any) -> None:
    """Write down outside of the side's own storage, and flushed, that something happened."""
    line = (json.dumps(entry) + "\n").encode()
    descriptor = os.open(folder / kind, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def noted(folder: Path, kind: str) -> list[Any]:
    """Return what was noted; a line that a kill cut short does not count."""
    path = folder / kind
    if not path.exists():
        return []
    *lines, _ = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines]


def toy_values(first: float, second: float) -> tuple[float, float]:
    """Return two objectives that pull apart."""
    return first**2 + second, (1 - first) ** 2 + second
