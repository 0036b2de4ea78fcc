"""What the log of a run says, arranged for a front: who competes in what, who stands beside.

Inherited scores are compared within each family, or across families by the calibrated scores where
the verdict of `nas supernet rank` trusts these. A *population* is a set of trials that compete with
one another in the same columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from nas.errors import RunError
from nas.pareto import best_per_group, front
from nas.run_store import Run, Trial
from nas.run_store.layout import typed
from nas.search.confirm.view import confirmed_errors
from nas.search.ranking.trust import CALIBRATED, COMPUTED, NOT_INHERITED, PER_FAMILY, Trust

PREPARE: Final = "prepare"
CALIBRATED_COLUMN: Final = "cross_entropy_calibrated"
INHERITED: Final = ("cross_entropy", "error")


@final
@dataclass(frozen=True)
class Population:
    """Trials that compete with one another.

    Args:
        places: Their positions among the finished trials.
        columns: Names of what they compete in: searched objectives, or the calibrated score.
    """

    places: tuple[int, ...]
    columns: tuple[str, ...]


def check_is_search(run: Run) -> None:
    """Refuse the folder of a study, which has tables in the place of a front.

    Raises:
        RunError: If it is one.
    """
    if str(run.config.get("schema")).startswith("nas.study/"):
        raise RunError(
            f"'{run.name}' is a study, not a search.",
            where=str(run.path),
            fix="Its tables lie in that folder; go on with `nas study FILE`, FILE being what it "
            "was started from.",
        )


def is_feasible(trial: Trial) -> bool:
    """Tell whether a finished trial keeps every constraint, as its record says.

    One that ought to have been measured and could not be is on no front.
    """
    return "unmeasured" not in trial.extra and all(
        float(value) <= 0 for value in trial.extra.get("violations", {}).values()
    )


def _is_inherited(objective: Mapping[str, Any]) -> bool:
    """Tell whether an objective, as the log describes it, reads inherited weights."""
    return objective["name"] in INHERITED or objective.get("source") == "inherited"


@final
class Facts:
    """What the log of a run says, arranged for a front.

    Args:
        run: The run.
        calibrated: Compare calibrated scores across families, trusted or not.

    Raises:
        RunError: If `calibrated` is asked for and the run has no calibration.
    """

    def __init__(self, run: Run, calibrated: bool = False) -> None:
        table = run.table()
        records = run.records()
        self.seed = int(run.config.get("seed", 0))
        self.trust = Trust.read(table, records)
        if calibrated and self.trust.calibration is None:
            raise _no_calibration(run)
        prepared = table.stages.get(PREPARE)
        finish: Mapping[str, Any] = prepared.finish if prepared else {}
        self.objectives: list[dict[str, Any]] = [
            dict(each) for each in finish.get("objectives", [])
        ]
        self.bounds: list[dict[str, Any]] = [dict(each) for each in finish.get("constraints", [])]
        self.finished = table.finished()
        self.confirmed = confirmed_errors(run)
        self.candidates: dict[str, Mapping[str, Any]] = {}
        self.measured: dict[str, Mapping[str, Any]] = {}
        self.simple: Mapping[str, Any] = {}
        for record in records:
            self._read(record)
        self.basis = self._basis(calibrated)

    def _basis(self, calibrated: bool) -> str:
        """Return what the front compares."""
        inherited = {str(each["name"]) for each in self.objectives if _is_inherited(each)}
        if not inherited:
            return COMPUTED
        # A calibration is one of float32 scores: those of quantised networks stay in their family.
        if (calibrated or self.trust.across) and inherited <= set(INHERITED):
            return CALIBRATED
        return PER_FAMILY

    def trusted(self) -> dict[str, Any]:
        """Return the verdict on the ranking, and what the front compares because of it."""
        if self.basis == COMPUTED:
            return {"verdict": NOT_INHERITED, "why": None, "front": COMPUTED, "left_out": 0}
        left_out = 0
        if self.basis == CALIBRATED:
            left_out = sum(self.trust.calibrated(trial) is None for trial in self.finished)
        return {
            "verdict": self.trust.verdict,
            "why": self.trust.why,
            "front": self.basis,
            "left_out": left_out,
        }

    def _read(self, record: Mapping[str, Any]) -> None:
        if record["kind"] == "confirm_planned":
            # The last plan alone says who stands beside the front.
            self.candidates = {str(each["key"]): each for each in record["candidates"]}
        elif record["kind"] == "confirm_measured":
            self.measured[str(record["candidate"])] = record
        elif record["kind"] == "simple_baselines":
            self.simple = record

    @property
    def names(self) -> list[str]:
        """Names of the searched objectives, in order."""
        return [str(each["name"]) for each in self.objectives]

    def entry(self, place: int) -> dict[str, Any]:
        """Return values, measurements and inherited score of a finished trial."""
        trial = self.finished[place]
        own = {key: trial.extra.get(key) for key in ("measurements", "inherited")}
        return {"values": trial.values, **own}

    def column(self, name: str, places: Sequence[int]) -> NDArray[np.float64]:
        """Return a number of some finished trials."""
        if name == CALIBRATED_COLUMN:
            scores = [self.trust.calibrated(self.finished[place]) for place in places]
            return np.array([math.inf if each is None else each for each in scores])
        return np.array([self.finished[place].value(name) for place in places], dtype=np.float64)

    def points(self, population: Population) -> NDArray[np.float64]:
        """Return what a population competes in, `(num_places, num_columns)`."""
        columns = [self.column(name, population.places) for name in population.columns]
        return np.stack(columns, axis=1)

    def populations(self) -> list[Population]:
        """Return who competes with whom; none while nothing is finished."""
        if not self.finished or not self.objectives:
            return []
        everything, names = tuple(range(len(self.finished))), tuple(self.names)
        if self.basis == COMPUTED:
            return [Population(everything, names)]
        if self.basis == CALIBRATED:
            return self._calibrated_population(everything)
        families = self.families()
        return [
            Population(tuple(each for each in everything if families[each] == family), names)
            for family in sorted(set(families))
        ]

    def _calibrated_population(self, everything: tuple[int, ...]) -> list[Population]:
        """Return who competes with one calibrated score in place of the inherited ones."""
        scored = tuple(
            place for place in everything if self.trust.calibrated(self.finished[place]) is not None
        )
        names = self.names
        first = next(place for place, name in enumerate(names) if name in INHERITED)
        columns = [
            CALIBRATED_COLUMN if place == first else name
            for place, name in enumerate(names)
            if place == first or name not in INHERITED
        ]
        return [Population(scored, tuple(columns))] if scored else []

    def families(self) -> list[str]:
        """Return the family of each finished trial."""
        return [str(trial.extra.get("family", "")) for trial in self.finished]

    def front(self) -> list[int]:
        """Return the positions of the front among the finished trials, best first column first."""
        found: list[tuple[float, int]] = []
        for population in self.populations():
            values = self.points(population)
            first = dict(zip(population.places, values[:, 0], strict=True))
            chosen = self._front_of(population.places, values)
            found.extend((float(first[place]), place) for place in chosen)
        # Within a population the order is that of `nas.pareto.front`; the sort keeps it.
        return [place for _, place in sorted(found, key=lambda pair: pair[0])]

    def _front_of(self, places: Sequence[int], values: NDArray[np.float64]) -> list[int]:
        """Return which of some finished trials no other of them dominates."""
        chosen = [self.finished[place] for place in places]
        found = front(
            values,
            indices=[trial.number for trial in chosen],
            feasible=np.array([is_feasible(trial) for trial in chosen]),
        )
        return [places[int(place)] for place in found]

    def best_per_family(self) -> dict[str, int]:
        """Return, per family of wirings, its feasible trial with the best first objective."""
        if not self.finished or not self.objectives:
            return {}
        everything = range(len(self.finished))
        best = best_per_group(
            np.stack([self.column(name, everything) for name in self.names], axis=1),
            self.families(),
            indices=[trial.number for trial in self.finished],
            feasible=np.array([is_feasible(trial) for trial in self.finished]),
        )
        return {str(family): place for family, place in sorted(best.items())}


def _no_calibration(run: Run) -> RunError:
    return RunError(
        f"Run '{run.name}' has no calibration of its scores.",
        where=str(run.path),
        why="Nobody has trained members of it alone with these weights, or fewer than 10.",
        fix=f"Run `nas supernet rank {typed(run.path)}` first, or leave out --calibrated.",
    )
