"""One point of the front, or a network beside it, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from nas.objectives.constraints import Constraint
from nas.search.confirm.view import UNCONFIRMED
from nas.search.front.errors import BAR, Entry, bar, binomial_error, standard_error
from nas.search.front.reading import CALIBRATED_COLUMN, Facts
from nas.search.front.uncertainty import Uncertainty
from nas.units import Unit

MEASURED_FLAGS: Final = ("unstable", "busy")
"""What a measurement may say of itself."""

PREDICTED: Final = "predicted"
OPEN_BOUND: Final = "infeasible within noise"


@final
class Points:
    """Writes trials and baselines as points.

    Args:
        facts: The log of the run.
        uncertainty: What noise leaves of its front.
    """

    def __init__(self, facts: Facts, uncertainty: Uncertainty) -> None:
        self.facts = facts
        self.uncertainty = uncertainty
        self.bounds = [
            Constraint(each["objective"], each["upper"], each["lower"], Unit(each["unit"]))
            for each in facts.bounds
        ]

    def of_trial(self, place: int) -> dict[str, Any]:
        """Return a finished trial as a point."""
        trial, entry = self.facts.finished[place], self.facts.entry(place)
        inherited = trial.extra.get("inherited") or {}
        verdicts = self.constraints(entry)
        knee = self.uncertainty.knee
        return {
            "trial": trial.number,
            "architecture": trial.extra.get("architecture_id"),
            "wiring": trial.extra.get("wiring"),
            "family": trial.extra.get("family"),
            "quantisation": trial.extra.get("quantisation"),
            "objectives": {name: self._objective(place, name) for name in self.facts.names},
            "constraints": verdicts,
            "probability_front": self.uncertainty.probabilities.get(place, 0.0),
            "tie_group": self.uncertainty.ties.groups.get(place),
            "ties": self._trials(self.uncertainty.ties.partners.get(place, [])),
            "knee": knee is not None and knee[0] == place,
            "hypervolume_contribution": self.uncertainty.contributions.get(place),
            "flags": flags(entry, verdicts),
            "error_inherited": inherited.get("error"),
            "error_inherited_bar": _error_bar(inherited),
            CALIBRATED_COLUMN: self.facts.trust.calibrated(trial),
            **self.facts.confirmed.get(f"trial-{trial.number}", UNCONFIRMED),
            "parameters": trial.extra["measures"]["parameters"],
            "macs": trial.extra["measures"]["macs"],
            **_latency(entry),
        }

    def _objective(self, place: int, name: str) -> dict[str, Any]:
        """Return an objective of a trial with its bar, its shrunken value and its ties."""
        entry = self.facts.entry(place)
        shrunken = self.uncertainty.shrunken(name, [place])
        middle, error = float(shrunken.values[0]), float(shrunken.noise.errors[0])
        low, high = bar(middle, error)
        ties = self.uncertainty.ties.by_objective.get((place, name), [])
        return {
            **with_bar(name, entry),
            "shrunken": middle,
            "shrunken_low": low,
            "shrunken_high": high,
            "ties": self._trials(ties),
        }

    def _trials(self, places: Sequence[int]) -> list[int]:
        return [self.facts.finished[place].number for place in places]

    def constraints(self, entry: Entry) -> dict[str, dict[str, Any]]:
        """Return what an entry's numbers say of each constraint they are known for."""
        found = {}
        for bound in self.bounds:
            if bound.objective not in entry["values"]:
                continue
            told = with_bar(bound.objective, entry)
            value = float(told["value"])
            low, high = (value if end is None else end for end in (told["low"], told["high"]))
            found[bound.objective] = {
                "verdict": bound.verdict(low, high),
                "source": told["source"],
                "value": value,
                "low": low,
                "high": high,
                "upper": bound.upper,
                "lower": bound.lower,
                "unit": told["unit"],
            }
        return found

    def baselines(self) -> list[dict[str, Any]]:
        """Return the networks that were trained beside the front."""
        return [
            self._baseline(key, candidate)
            for key, candidate in self.facts.candidates.items()
            if candidate["kind"] != "searched"
        ]

    def _baseline(self, key: str, candidate: Mapping[str, Any]) -> dict[str, Any]:
        measured = self.facts.measured.get(key, {})
        measures = measured.get("measures", {})
        entry = {"values": {}, **measured}
        return {
            "key": key,
            "name": candidate["name"],
            "kind": candidate["kind"],
            "arm": candidate["arm"],
            "trial": None,
            "architecture": candidate["architecture_id"],
            "wiring": candidate["wiring"],
            "family": candidate["family"],
            "objectives": {name: with_bar(name, entry) for name in entry["values"]},
            "constraints": self.constraints(entry),
            "error_inherited": None,
            "error_inherited_bar": None,
            CALIBRATED_COLUMN: None,
            **self.facts.confirmed.get(key, UNCONFIRMED),
            "parameters": measures.get("parameters"),
            "macs": measures.get("macs"),
            **_latency(entry),
        }


def with_bar(name: str, entry: Entry) -> dict[str, Any]:
    """Return an objective as it was recorded, with its standard error and 95 % interval."""
    value = entry["values"][name]
    error = standard_error(name, entry)
    low, high = bar(float(value["value"]), error)
    return {**value, "standard_error": error, "low": low, "high": high}


def flags(entry: Entry, verdicts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what a reader of an entry's numbers must know."""
    details = [each or {} for each in (entry.get("measurements") or {}).values()]
    found = [flag for flag in MEASURED_FLAGS if any(each.get(flag) for each in details)]
    if any(each.get("clock_jumps") for each in details):
        found.append("clock jumped")
    if any(value["source"] == PREDICTED for value in entry["values"].values()):
        found.append(PREDICTED)
        doubts = (flag for each in details for flag in each.get("flags") or ())
        found.extend(str(flag).replace("_", " ") for flag in dict.fromkeys(doubts))
    if any(each["verdict"] != "kept" for each in verdicts.values()):
        found.append(OPEN_BOUND)
    return found


def _error_bar(inherited: Mapping[str, Any]) -> float | None:
    """Return half the 95 % interval of an inherited error, as a fraction."""
    if inherited.get("error") is None or not inherited.get("count"):
        return None
    return BAR * binomial_error(float(inherited["error"]), int(inherited["count"]))


def _latency(entry: Entry) -> dict[str, Any]:
    """Return the latency on the run's own device among an entry's values, nulls without one."""
    name = next(
        (each for each in entry["values"] if each.startswith("latency_ms") and "@" not in each),
        None,
    )
    if name is None:
        return {"latency_ms": None, "latency_iqr_ms": None, "latency_bar_ms": None}
    value, error = entry["values"][name], standard_error(name, entry)
    return {
        "latency_ms": value["value"],
        "latency_iqr_ms": value.get("iqr"),
        "latency_bar_ms": None if error is None else BAR * error,
    }
