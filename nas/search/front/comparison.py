"""Several runs side by side: volumes under one reference, the best within budgets, what differs.

Values are compared as they were recorded. Where they cannot be taken at their word (other data,
another device, scores inherited from each run's own shared weights) a note says so, and the errors
of networks that a run retrained stand beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from nas.errors import ConfigError
from nas.pareto import Interval, front, hypervolume, hypervolume_interval, reference_point
from nas.run_store import Run
from nas.search.confirm.view import UNCONFIRMED
from nas.search.front.points import with_bar
from nas.search.front.reading import Facts, check_is_search
from nas.search.front.uncertainty import Uncertainty
from nas.search.measuring.measured_on import measured_on, measuring_device

SCHEMA: Final = "nas.compare/1"
MOST_RUNS: Final = 20

_QUARTILES: Final = (0.25, 0.5, 0.75)

Floats = NDArray[np.float64]


def comparison(runs: Mapping[str, Run], budgets: Sequence[float] | None = None) -> dict[str, Any]:
    """Return a comparison of runs, schema `nas.compare/1`.

    Args:
        runs: 2 to `MOST_RUNS` runs by the name to call them.
        budgets: Upper bounds of the second objective that they share; by default three, through
            the middle of their fronts.

    Raises:
        ConfigError: If there are too few or too many runs, they share no two objectives, or a
            budget is not positive.
        RunError: If one is a study.
    """
    if not 2 <= len(runs) <= MOST_RUNS:
        raise ConfigError(
            f"A comparison takes 2 to {MOST_RUNS} different runs, not {len(runs)}.",
            fix="List runs with `nas runs list`.",
        )
    sides = {name: _Side(run) for name, run in runs.items()}
    shared = _shared(sides)
    names = [str(each["name"]) for each in shared]
    known = [each.values(names) for each in sides.values() if each.places]
    reference = reference_point(np.concatenate(known)) if known else None
    within = _budgets(known, budgets)
    joint = _joint_front({name: side.values(names) for name, side in sides.items()})
    return {
        "schema": SCHEMA,
        "objectives": shared,
        "reference": None
        if reference is None
        else dict(zip(names, reference.tolist(), strict=True)),
        "budgets": {**shared[1], "values": within},
        "runs": [
            {
                "run": name,
                **side.about(),
                "joint_front": joint[name],
                "hypervolume": side.volume(names, reference),
                "best": [side.best(names, budget) for budget in within],
                "front": side.front(names),
            }
            for name, side in sides.items()
        ],
        "same": {
            key: len(set(values.values())) == 1 for key, values in _differences(sides).items()
        },
        "notes": _notes(sides, shared),
    }


@final
class _Side:
    """One run of a comparison."""

    def __init__(self, run: Run) -> None:
        check_is_search(run)
        self.run = run
        self.facts = Facts(run)
        self.uncertainty = Uncertainty(self.facts)
        self.places = self.uncertainty.front

    def about(self) -> dict[str, Any]:
        """Return what a run is, beside its numbers."""
        table = self.run.table()
        return {
            "state": self.run.state(),
            "space": _inside(self.run.environment, "space", "name"),
            "data": _inside(self.run.environment, "data", "name"),
            "seed": self.run.config.get("seed"),
            "preset": self.run.config.get("preset"),
            "finished": len(table.finished()),
            "failed": len(table.failed()),
            "points": len(self.places),
            "trust": self.facts.trusted(),
        }

    def identity(self) -> dict[str, Any]:
        """Return what two runs must have in common for their numbers to mean the same."""
        device, machine = self.run.environment.get("device"), measured_on(self.run)
        if measuring_device(self.run) is not None:
            device = machine.get("device")
        return {
            "data": _inside(self.run.environment, "data", "fingerprint"),
            "space": _inside(self.run.environment, "space", "fingerprint"),
            "device": f"{device}, {machine.get('processor', '')}",
            "preset": self.run.config.get("preset"),
        }

    def values(self, names: Sequence[str]) -> Floats:
        """Return the front in some objectives, `(num_points, num_names)`."""
        columns = [self.facts.column(name, self.places) for name in names]
        return np.stack(columns, axis=1)

    def volume(self, names: Sequence[str], reference: Floats | None) -> dict[str, float] | None:
        """Return the hypervolume as recorded, and that of the shrunken values with its interval."""
        if reference is None:
            return None
        drawn = Interval(0.0, 0.0, 0.0)
        if self.places:
            draws = self.uncertainty.draws(self.places, "whole front")
            drawn = hypervolume_interval(np.stack([draws[each] for each in names], 2), reference)
        value = hypervolume(self.values(names), reference) if self.places else 0.0
        return {"value": value, "shrunken": drawn.value, "low": drawn.low, "high": drawn.high}

    def front(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the points of the front, each as its trial and its values."""
        return [
            {"trial": self.facts.finished[place].number, "values": list(map(float, row))}
            for place, row in zip(self.places, self.values(names), strict=True)
        ]

    def best(self, names: Sequence[str], budget: float) -> dict[str, Any] | None:
        """Return the point with the best first objective within a budget of the second."""
        values = self.values(names)
        inside = [row for row in range(len(values)) if values[row, 1] <= budget]
        if not inside:
            return None
        place = self.places[min(inside, key=lambda row: (values[row, 0], values[row, 1]))]
        trial = self.facts.finished[place]
        retrained = self.facts.confirmed.get(f"trial-{trial.number}", UNCONFIRMED)
        return {
            "budget": budget,
            "trial": trial.number,
            "wiring": trial.extra.get("wiring"),
            "objectives": {name: with_bar(name, self.facts.entry(place)) for name in names},
            "error_confirmed_mean": retrained["error_confirmed_mean"],
            "error_confirmed_std": retrained["error_confirmed_std"],
        }


def _inside(fields: Mapping[str, Any], part: str, name: str) -> Any:
    found = fields.get(part)
    return found.get(name) if isinstance(found, Mapping) else None


def _shared(sides: Mapping[str, _Side]) -> list[dict[str, Any]]:
    """Return the objectives that all runs have, as the first one orders them."""
    first, *others = [side.facts for side in sides.values()]
    shared = [each for each in first.objectives if all(each["name"] in o.names for o in others)]
    if len(shared) < 2:
        told = "; ".join(
            f"{name}: {', '.join(side.facts.names) or 'none yet'}" for name, side in sides.items()
        )
        raise ConfigError(
            "The runs share no two objectives, so their fronts cannot be laid over one another.",
            why=told,
            fix="Search with the same --set 'objectives=[...]'.",
        )
    return shared


def _budgets(known: Sequence[Floats], asked: Sequence[float] | None) -> list[float]:
    """Return the budgets, ascending; by default the quartiles of all points' costs, rounded up."""
    if asked:
        if not all(0 < budget < float("inf") for budget in asked):
            raise ConfigError(
                f"A budget of {min(asked):g} is not possible: it must be greater than 0.",
                where="--budget",
                fix="Write for example --budget 2.5.",
            )
        return sorted(set(asked))
    if not known:
        return []
    costs = np.concatenate(known)[:, 1]
    return sorted({_rounded_up(float(each)) for each in np.quantile(costs, _QUARTILES)})


def _rounded_up(value: float) -> float:
    """Return the next number of two digits, so that the point itself is within it."""
    if value <= 0:
        return value
    step = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(f"{np.ceil(value / step * (1 - 1e-12)) * step:.6g}")


def _joint_front(values: Mapping[str, Floats]) -> dict[str, int]:
    """Return how many points of each run no point of any run dominates."""
    owners = [name for name, each in values.items() for _ in each]
    if not owners:
        return dict.fromkeys(values, 0)
    kept = front(np.concatenate([each for each in values.values() if len(each)]))
    chosen = [owners[int(row)] for row in kept]
    return {name: chosen.count(name) for name in values}


def _differences(sides: Mapping[str, _Side]) -> dict[str, dict[str, str]]:
    """Return, per thing that runs should have in common, what each of them has."""
    keys = ("data", "space", "device", "preset")
    identities = {name: side.identity() for name, side in sides.items()}
    return {key: {name: str(each[key]) for name, each in identities.items()} for key in keys}


def _notes(sides: Mapping[str, _Side], shared: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what a reader must know before believing the numbers."""
    differs = {key for key, each in _differences(sides).items() if len(set(each.values())) > 1}
    sources = {each.get("source") for each in shared}
    notes = []
    if "data" in differs:
        notes.append("the runs are on different data: their errors do not compare")
    if "device" in differs and sources & {"measured", "predicted"}:
        notes.append("the runs are of different devices: their latencies do not compare")
    if "inherited" in sources:
        notes.append(
            "inherited scores come from each run's own shared weights; between runs only the "
            "retrained test errors compare"
        )
    if "preset" in differs:
        notes.append("the runs had different presets, that is, different budgets")
    empty = [name for name, side in sides.items() if not side.places]
    if empty:
        notes.append(f"nothing on the front yet: {', '.join(empty)}")
    return notes
