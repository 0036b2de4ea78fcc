"""The decisions of all trials as one table of numbers, to count and to compare them quickly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    Attributes:
        names: Column of every question.
        answers: Per column the answers, by their number.
        codes: Number of the answer, `(trials, questions)`; -1 where it was not asked.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.trials = trials
        self.numbers = np.array([trial.number for trial in trials], dtype=np.int64)
        self.names: dict[str, int] = {}
        self.answers: list[list[Any]] = []
        rows, columns, codes = self._read(trials)
        self.codes: NDArray[np.int32] = np.full(
            (len(trials), len(self.names)), NOT_ASKED, dtype=np.int32
        )
        self.codes[rows, columns] = codes

    def _read(self, trials: Sequence[Trial]) -> tuple[list[int], list[int], list[int]]:
        """Number questions and answers in the order in which they are met."""
        rows: list[int] = []
        columns: list[int] = []
        codes: list[int] = []
        known: list[dict[Any, int]] = []
        for row, trial in enumerate(trials):
            for name, answer in mapping(trial.decisions).items():
                column = self.names.setdefault(name, len(self.names))
                if column == len(known):
                    known.append({})
                    self.answers.append([])
                key = answer if type(answer) is str else (repr(answer),)
                code = known[column].get(key)
                if code is None:
                    code = known[column][key] = len(self.answers[column])
                    self.answers[column].append(answer)
                rows.append(row)
                columns.append(column)
                codes.append(code)
        return rows, columns, codes

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
