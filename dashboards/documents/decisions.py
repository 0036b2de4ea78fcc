"""The decisions of all trials as one table of numbers, to count and to compare them quickly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from nas.run_store import Trial

from .plain import mapping

NOT_ASKED = -1
MOST_CHANGES = 12
"""Changes that are told one by one; the rest is counted."""


@final
class DecisionTable:
    """Answers of trials as whole numbers, one column per question.

    Args:
        trials: By number.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.trials = trials
        self.numbers = np.array([trial.number for trial in trials], dtype=np.int64)
        self.names: dict[str, int] = {}
        self._codes: list[dict[str, int]] = []
        self._answers: list[list[tuple[int, int]]] = [self._read(trial) for trial in trials]

    def _read(self, trial: Trial) -> list[tuple[int, int]]:
        found = []
        for name, answer in mapping(trial.decisions).items():
            column = self.names.setdefault(str(name), len(self.names))
            if column == len(self._codes):
                self._codes.append({})
            codes = self._codes[column]
            found.append((column, codes.setdefault(repr(answer), len(codes))))
        return found

    @cached_property
    def codes(self) -> NDArray[np.int32]:
        """Number of the answer, `(trials, questions)`; -1 where it was not asked."""
        table = np.full((len(self.trials), len(self.names)), NOT_ASKED, dtype=np.int32)
        for row, answers in enumerate(self._answers):
            for column, code in answers:
                table[row, column] = code
        return table

    def distances(self, row: int) -> NDArray[np.int64]:
        """Return in how many questions every trial differs from one, asked or not."""
        return np.asarray((self.codes != self.codes[row]).sum(axis=1), dtype=np.int64)

    def row(self, number: int) -> int:
        """Return the row of a trial."""
        return int(np.searchsorted(self.numbers, number))


def changes(before: Any, after: Any) -> list[str]:
    """Return in words what differs between the decisions of two trials."""
    first, second = mapping(before), mapping(after)
    names = list(dict.fromkeys([*second, *first]))
    differ = [name for name in names if first.get(name) != second.get(name)]
    told = [f"{name}: {_told(first, name)} → {_told(second, name)}" for name in differ]
    left = len(told) - MOST_CHANGES
    return told if left <= 0 else [*told[:MOST_CHANGES], f"and {left} more"]


def _told(decisions: Mapping[str, Any], name: str) -> str:
    if name not in decisions:
        return "not asked"
    answer = decisions[name]
    if isinstance(answer, list):
        return "+".join(map(str, answer)) or "nothing"
    return str(answer)
