"""How often each choice was taken, what goes along with it, and the trials as parallel lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from nas.errors import NotFoundError
from nas.space import Choice, OneOf
from nas.statistics import explained_share, mean_difference

from .decisions import NOT_ASKED, DecisionTable
from .plain import mapping, number, short, text
from .reading import Reading

SCHEMA = "nas.dash.space/1"
MOST_CHOICES = 400
MOST_PARALLEL = 8
MOST_LINES = 2000
CAUTION = (
    "The sampler chose these trials, and it draws good answers together: a difference says what an "
    "answer went along with, not what changing it would do."
)


def space_document(reading: Reading, objective: str | None = None) -> dict[str, Any]:
    """Return what was tried and what went along with good values.

    Args:
        reading: The run.
        objective: Whose values are compared; None for the first.

    Raises:
        NotFoundError: If the run has no such objective.
    """
    name = _objective(reading, objective)
    trials = [
        trial for trial in reading.trials if trial.state == "finished" and name in trial.values
    ]
    values = np.array([trial.value(name) for trial in trials], dtype=np.float64)
    front = np.array([trial.number in reading.front_trials for trial in trials], dtype=np.bool_)
    table = DecisionTable(trials)
    columns = [
        _Column(choice, kind, options, table)
        for choice, (kind, options) in list(_questions(reading, table).items())[:MOST_CHOICES]
    ]
    described = [column.describe(values, front) for column in columns]
    return {
        "schema": SCHEMA,
        "seq": reading.seq,
        "space": text(mapping(reading.run.config.get("space")).get("name")),
        "size": text(mapping(reading.run.environment.get("space")).get("members")),
        "objective": name,
        "trials": len(trials),
        "choices": described,
        "parallel": _parallel(columns, described, table.numbers, front),
        "caution": CAUTION,
    }


def _objective(reading: Reading, wanted: str | None) -> str:
    searched = [each["name"] for each in reading.objectives]
    known = dict.fromkeys([*searched, *(name for trial in reading.trials for name in trial.values)])
    if wanted is None:
        return next(iter(known), "")
    if wanted not in known:
        raise NotFoundError(
            f"Run '{reading.name}' has no objective '{wanted[:80]}'.",
            fix=f"Its objectives: {', '.join(known) or 'none yet'}.",
        )
    return wanted


Questions = dict[str, tuple[str, list[str]]]


def _questions(reading: Reading, table: DecisionTable) -> Questions:
    """Return kind and options of every question, as the space asks them; else as they were met."""
    found: Questions = {}
    if reading.space is not None:
        _collect(reading.space.choices, found)
    for name, column in table.names.items():
        for answer in table.answers[column]:
            kind = "subset_of" if isinstance(answer, list) else "one_of"
            _, options = found.setdefault(name, (kind, []))
            options.extend(each for each in _labels(answer) if each not in options)
    return found


def _labels(answer: object) -> list[str]:
    """Return an answer as the options that it takes."""
    return [str(each) for each in (answer if isinstance(answer, list) else [answer])]


def _collect(choices: Sequence[Choice], found: Questions) -> None:
    for choice in choices:
        single = isinstance(choice, OneOf)
        _, options = found.setdefault(choice.name, ("one_of" if single else "subset_of", []))
        if not isinstance(choice, OneOf):
            options.extend(item for item in choice.items if item not in options)
            continue
        for option in choice.options:
            if str(option.value) not in options:
                options.append(str(option.value))
            _collect(option.choices, found)


@final
class _Column:
    """One question over the finished trials.

    Args:
        name: The question.
        kind: `one_of` or `subset_of`.
        options: Its answers.
        table: Decisions of the trials.
    """

    def __init__(self, name: str, kind: str, options: list[str], table: DecisionTable) -> None:
        self.name = name
        self.kind = kind
        self.options = options
        column = table.names.get(name)
        answers = [] if column is None else table.answers[column]
        none = np.full(len(table.numbers), NOT_ASKED, dtype=np.int32)
        self._codes = none if column is None else table.codes[:, column]
        self.asked: NDArray[np.bool_] = self._codes != NOT_ASKED
        # The last row stands for a question that was not asked.
        takes = np.zeros((len(answers) + 1, len(options)), dtype=np.bool_)
        for code, answer in enumerate(answers):
            takes[code, [options.index(each) for each in _labels(answer)]] = True
        self.taken: NDArray[np.bool_] = takes[self._codes]

    def describe(self, values: NDArray[np.float64], front: NDArray[np.bool_]) -> dict[str, Any]:
        """Return how often the answers were taken and what went along with them."""
        return {
            "name": self.name,
            "kind": self.kind,
            "options": self.options,
            "counts": self.taken.sum(axis=0).tolist(),
            "on_front": self.taken[front].sum(axis=0).tolist(),
            "effects": [self._effect(index, values) for index in range(len(self.options))],
            "importance": short(self._importance(values)),
        }

    def _effect(self, option: int, values: NDArray[np.float64]) -> dict[str, Any] | None:
        """Compare the trials that took an answer with those that were asked and did not."""
        taken = self.taken[:, option]
        found = mean_difference(values[taken], values[self.asked & ~taken])
        if found is None:
            return None
        ends = {name: short(getattr(found, name)) for name in ("mean", "low", "high")}
        return {**ends, "count": found.count}

    def _importance(self, values: NDArray[np.float64]) -> float | None:
        """Return how much of the variance lies between answers, not asked being one of them."""
        if not self.asked.any() or not self.options:
            return None
        return explained_share(values, self._codes)

    def rows(self) -> list[int | None]:
        """Return the number of the answer per trial, None where it was not asked."""
        first = self.taken.argmax(axis=1).tolist()
        return [index if known else None for index, known in zip(first, self.asked, strict=True)]


def _parallel(
    columns: Sequence[_Column],
    described: Sequence[Mapping[str, Any]],
    numbers: NDArray[np.int64],
    front: NDArray[np.bool_],
) -> dict[str, Any]:
    """Return the most important single choices as lines, of many trials an even part.

    Choices that fewer than half of the trials were asked come last: their lines have gaps.
    """
    single = [
        (column.asked.mean() < 0.5, -(number(told["importance"]) or 0.0), place)
        for place, (column, told) in enumerate(zip(columns, described, strict=True))
        if column.kind == "one_of" and len(column.options) > 1 and column.asked.any()
    ]
    chosen = [
        columns[place] for place in sorted(place for *_, place in sorted(single)[:MOST_PARALLEL])
    ]
    every = max(1, -(-len(numbers) // MOST_LINES))
    shown = np.flatnonzero(front | (np.arange(len(numbers)) % every == 0))
    found = [column.rows() for column in chosen]
    return {
        "choices": [column.name for column in chosen],
        "trials": numbers[shown].tolist(),
        "rows": [[column[row] for column in found] for row in shown],
    }
