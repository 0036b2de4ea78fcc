"""What noise leaves of a front: shrunken values, probabilities, ties, volume and knee.

Everything is resampled from the posterior of the shrunken values (`nas.pareto.shrink`) with seeds
derived from the run's, so a view made twice has the same bytes. Each objective is drawn once for
all trials of a population: its part in a dominance and its part in a constraint are one and the
same draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from nas.pareto import (
    Noise,
    Shrunken,
    apart,
    contenders,
    contributions,
    front_probabilities,
    hypervolume,
    hypervolume_interval,
    knee,
    knee_probabilities,
    reference_point,
    shrink,
    tie_groups,
)
from nas.pareto.uncertainty import FAR
from nas.search.front.errors import noise_of
from nas.search.front.reading import CALIBRATED_COLUMN, Facts, Population
from nas.seeds import derive_seed
from nas.supernet.trust.calibration import CHEAP, INHERITED

DRAWS: Final = 1000
NEAR: Final = 0.05
"""Probability of being on the front from which a point that is not on it is worth a word."""

MOST_NEAR: Final = 20
POINTS_PER_FEATURE: Final = 5
"""Fewest trials per coefficient of the regression that values are shrunk towards."""

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Ties:
    """Which points of the front cannot be told apart.

    Args:
        groups: Number of each point's group, by position among the finished trials.
        partners: The points that one is not apart from.
        by_objective: The same for each objective alone.
    """

    groups: dict[int, int] = field(default_factory=dict)
    partners: dict[int, list[int]] = field(default_factory=dict)
    by_objective: dict[tuple[int, str], list[int]] = field(default_factory=dict)


@final
class Uncertainty:
    """What noise leaves of the front of a run.

    Args:
        facts: The run's log.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.populations = facts.populations()
        self.front = facts.front()
        self._shrunken: dict[str, Shrunken] = {}

    # ------------------------------------------------------------ estimates

    def shrunken(self, name: str, places: Sequence[int]) -> Shrunken:
        """Return the estimates of one number over some finished trials.

        Trials are shrunk together, whatever the populations: a family has an intercept of its own.
        """
        is_calibrated = name == CALIBRATED_COLUMN  # a trial without anchors of its family has none
        of_all = self.populations[0].places if is_calibrated else range(len(self.facts.finished))
        if name not in self._shrunken:
            self._shrunken[name] = self._estimate(name, of_all)
        found = self._shrunken[name]
        chosen = np.searchsorted(of_all, places) if is_calibrated else np.asarray(places, np.int64)
        return Shrunken(
            found.values[chosen], found.noise.take(chosen), found.weights[chosen], found.spread
        )

    def _estimate(self, name: str, places: Sequence[int]) -> Shrunken:
        values, noise = self.facts.column(name, places), self.noise(name, places)
        if name == CALIBRATED_COLUMN or self._is_predicted(name):
            # A prediction is a regression already.
            return Shrunken(values, noise, np.zeros(len(values)), float("nan"))
        return shrink(values, noise, self._features(places))

    def _is_predicted(self, name: str) -> bool:
        return any(trial.values[name]["source"] == "predicted" for trial in self.facts.finished)

    def noise(self, name: str, places: Sequence[int]) -> Noise:
        """Return the noise of one number over some finished trials, as it was recorded."""
        entries = [self.facts.entry(place) for place in places]
        if name != CALIBRATED_COLUMN:
            return noise_of(name, entries)
        calibration = self.facts.trust.calibration
        weight = calibration.weights.get(INHERITED, 0.0) if calibration else 0.0
        scores = [
            {**each, "values": {"cross_entropy": {"source": "inherited", "unit": "nats"}}}
            for each in entries
        ]
        inherited = noise_of("cross_entropy", scores)
        return Noise(abs(weight) * inherited.errors, weight * inherited.loadings)

    def _features(self, places: Sequence[int]) -> Floats | None:
        """Return what predicts a trial's numbers: size, depth and family, if there is enough."""
        measures = [self.facts.finished[place].extra.get("measures", {}) for place in places]
        columns = [
            [float(np.log1p(each[name])) for each in measures]
            for name in CHEAP
            if all(each.get(name) is not None for each in measures)
        ]
        of_all = self.facts.families()
        families = [of_all[place] for place in places]
        columns.extend(
            [float(each == family) for each in families]
            for family in sorted(set(families))[1:]
            if families.count(family) >= POINTS_PER_FEATURE
        )
        fits = len(places) >= POINTS_PER_FEATURE * (len(columns) + 1)
        return np.array(columns, dtype=np.float64).T if columns and fits else None

    # ------------------------------------------------------------ who is on the front

    @cached_property
    def probabilities(self) -> dict[int, float]:
        """Probability of being on the front, by position among the finished trials."""
        found: dict[int, float] = dict.fromkeys(range(len(self.facts.finished)), 0.0)
        for index, population in enumerate(self.populations):
            places = self._contenders(population)
            if not places:
                continue
            draws = self.draws(places, f"front {index}")
            points = np.stack([draws[name] for name in population.columns], axis=2)
            shares = front_probabilities(points, self._allowed(draws))
            found.update(zip(places, map(float, shares), strict=True))
        return found

    def _contenders(self, population: Population) -> list[int]:
        """Return who may be on the front of a population; nobody else is worth a draw."""
        # What could not be measured is on no front, and keeps nobody off one.
        unmeasured = {
            place for place, trial in enumerate(self.facts.finished) if "unmeasured" in trial.extra
        }
        places = [place for place in population.places if place not in unmeasured]
        if not places:
            return []
        estimates = [self.shrunken(name, places) for name in population.columns]
        surely = np.ones(len(places), dtype=np.bool_)
        for bound in self.facts.bounds:
            found = self.shrunken(str(bound["objective"]), places)
            surely &= _within(bound, found.values + FAR * found.noise.errors)
            surely &= _within(bound, found.values - FAR * found.noise.errors)
        kept = contenders(
            np.stack([each.values for each in estimates], axis=1),
            np.stack([each.noise.errors for each in estimates], axis=1),
            surely,
        )
        return [place for place, keep in zip(places, kept, strict=True) if keep]

    def draws(self, places: Sequence[int], purpose: str) -> Mapping[str, Floats]:
        """Return draws of every objective and bound of some trials, each `(draws, places)`."""
        bounds = [str(each["objective"]) for each in self.facts.bounds]
        columns = [name for each in self.populations[:1] for name in each.columns]
        found = {}
        for name in dict.fromkeys([*columns, *self.facts.names, *bounds]):
            estimate = self.shrunken(name, places)
            seed = derive_seed(self.facts.seed, f"{purpose} {name}", 0)
            found[name] = estimate.noise.draw(estimate.values, DRAWS, seed)
        return found

    def _allowed(self, draws: Mapping[str, Floats]) -> NDArray[np.bool_]:
        allowed = np.ones(next(iter(draws.values())).shape, dtype=np.bool_)
        for bound in self.facts.bounds:
            allowed &= _within(bound, draws[str(bound["objective"])])
        return allowed

    def near(self) -> list[tuple[int, float]]:
        """Return who is not on the front and may be, most probable first."""
        others = [
            (place, share)
            for place, share in self.probabilities.items()
            if share >= NEAR and place not in self.front
        ]
        return sorted(others, key=lambda pair: (-pair[1], pair[0]))[:MOST_NEAR]

    # ------------------------------------------------------------ ties

    @cached_property
    def ties(self) -> Ties:
        """Which points of the front cannot be told apart, each population by itself."""
        found = Ties()
        for population in self.populations:
            places = [place for place in self.front if place in population.places]
            if places:
                self._tie(places, population.columns, found)
        order = dict.fromkeys(found.groups[place] for place in self.front)
        numbers = {group: number for number, group in enumerate(order)}
        groups = {place: numbers[found.groups[place]] for place in self.front}
        return Ties(groups, found.partners, found.by_objective)

    def _tie(self, places: list[int], columns: Sequence[str], found: Ties) -> None:
        values = [self.facts.column(name, places) for name in columns]
        noise = [self.noise(name, places) for name in columns]
        separate = apart(np.stack(values, axis=1), noise)
        first = 1 + max(found.groups.values(), default=-1)
        for row, group in enumerate(tie_groups(separate)):
            found.groups[places[row]] = first + int(group)
            found.partners[places[row]] = _partners(separate, row, places)
        for name, value, each in zip(columns, values, noise, strict=True):
            alone = apart(value[:, None], [each])
            for row, place in enumerate(places):
                found.by_objective[place, name] = _partners(alone, row, places)

    # ------------------------------------------------------------ the whole front

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """What the front as a whole is drawn in."""
        return self.populations[0].columns if self.populations else tuple(self.facts.names)

    @cached_property
    def _values(self) -> Floats:
        columns = [self.facts.column(name, self.front) for name in self.columns]
        return np.stack(columns, axis=1)

    @cached_property
    def reference(self) -> Floats:
        """A point behind the front and behind the median trial, a tenth of the range farther."""
        everyone = sorted({place for each in self.populations for place in each.places})
        median = [np.median(self.facts.column(name, everyone)) for name in self.columns]
        behind = np.maximum(self._values.max(axis=0), median)
        return reference_point(np.concatenate([self._values, behind[None, :]]))

    @cached_property
    def _front_draws(self) -> Floats:
        draws = self.draws(self.front, "whole front")
        return np.stack([draws[name] for name in self.columns], axis=2)

    def volume(self) -> dict[str, Any] | None:
        """Return the hypervolume of the front as recorded, and that of the shrunken values."""
        if not self.front:
            return None
        drawn = hypervolume_interval(self._front_draws, self.reference)
        return {
            "value": hypervolume(self._values, self.reference),
            "shrunken": drawn.value,
            "low": drawn.low,
            "high": drawn.high,
            "reference": dict(zip(self.columns, map(float, self.reference), strict=True)),
            "draws": DRAWS,
        }

    @cached_property
    def contributions(self) -> dict[int, float]:
        """Volume that would be lost without a point of the front."""
        if not self.front:
            return {}
        shares = contributions(self._values, self.reference)
        return dict(zip(self.front, map(float, shares), strict=True))

    @cached_property
    def knee(self) -> tuple[int, float] | None:
        """The knee of the front, and the probability that it is the knee."""
        place = knee(self._values) if self.front else None
        if place is None:
            return None
        return self.front[place], float(knee_probabilities(self._front_draws)[place])


def _within(bound: Mapping[str, Any], values: Floats) -> NDArray[np.bool_]:
    lower = bound.get("lower")
    kept = values <= float(bound["upper"])
    return np.asarray(kept if lower is None else kept & (values >= float(lower)), dtype=np.bool_)


def _partners(separate: NDArray[np.bool_], row: int, places: Sequence[int]) -> list[int]:
    return [
        place for other, place in enumerate(places) if other != row and not separate[row, other]
    ]
