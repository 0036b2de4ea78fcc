"""Budgets: `latency <= 2 ms` or `latency: {max: 2.0}`, read, checked and compared.

A constraint may bound an objective that the search does not minimise. It is kept under the
objective's full name, so that `latency` and `latency_ms[eager,b1,fp32]` cannot hold two budgets.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

from nas.errors import ConfigError
from nas.objectives.base import AbstractObjective
from nas.objectives.names import resolve_objective

Side = Literal["max", "min"]

_COMPARISON = re.compile(
    r"\s*(?P<name>[A-Za-z_][\w.]*\s*(?:\[[^\[\]]*\])?)\s*(?P<sign><=|>=|<|>|==?|≤|≥)\s*"
    r"(?P<number>[-+]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?nan|[-+]?inf)"
    r"\s*(?P<unit>[A-Za-zµ%]*)\s*",
)
_SIDES: dict[str, Side] = {"<=": "max", "<": "max", "≤": "max", ">=": "min", ">": "min", "≥": "min"}
_COUNT = {"k": 1e3, "M": 1e6, "G": 1e9}
_UNITS: dict[str, dict[str, float]] = {
    "ms": {"ms": 1.0, "s": 1e3, "us": 1e-3, "µs": 1e-3},
    "fraction": {"%": 0.01},
    "nats": {"nats": 1.0},
    "bytes": {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20},
}
_FORM = "Write 'latency <= 2 ms' or 'latency: {max: 2.0}'."


@final
@dataclass(frozen=True)
class Constraint:
    """Bounds on one objective, in its unit.

    Args:
        objective: Full name of the objective.
        upper: Largest value allowed.
        lower: Smallest value allowed, if there is such a bound.
        unit: Unit of the bounds.
    """

    objective: str
    upper: float
    lower: float | None = None
    unit: str = ""

    def violation(self, value: float) -> float:
        """Return by how much `value` breaks the bounds; 0 or below where it keeps them."""
        over = value - self.upper
        return over if self.lower is None else max(over, self.lower - value)

    def allows(self, value: float) -> bool:
        """Tell whether `value` keeps the bounds."""
        return self.violation(value) <= 0

    def __str__(self) -> str:
        text = f"{self.objective} <= {self.upper:g} {self.unit}".rstrip()
        return text if self.lower is None else f"{text}, >= {self.lower:g}"


@final
@dataclass(frozen=True)
class _Bound:
    """One bound as the user wrote it."""

    objective: AbstractObjective
    side: Side
    value: float
    text: str


def parse_constraints(
    given: Mapping[str, Any] | Sequence[str | Mapping[str, Any]] | str | None,
) -> tuple[Constraint, ...]:
    """Read the constraints of a search.

    Args:
        given: A mapping such as `{latency: {max: 2.0}}`, a text such as `latency <= 2 ms`, or a
            list of either. Units are optional: ms, s, us; %; k, M, G for counts; B, kB, MB, MiB.

    Returns:
        One constraint per objective, in order of appearance.

    Raises:
        ConfigError: If a constraint is malformed, negative, zero, not finite or beyond what the
            objective can be, or if two contradict each other; the message names both.
        NotFoundError: If the objective does not exist.
    """
    bounds: dict[str, dict[Side, _Bound]] = {}
    for bound in _bounds(given):
        own = bounds.setdefault(bound.objective.name, {})
        if bound.side in own:
            noun = "upper" if bound.side == "max" else "lower"
            raise ConfigError(
                f"The constraints '{own[bound.side].text}' and '{bound.text}' both give "
                f"{bound.objective.name} {'an' if noun == 'upper' else 'a'} {noun} bound.",
                fix="Keep one of them.",
            )
        own[bound.side] = bound
    return tuple(_constraint(own) for own in bounds.values())


def _constraint(own: Mapping[Side, _Bound]) -> Constraint:
    upper, lower = own.get("max"), own.get("min")
    if upper is None:
        assert lower is not None
        raise ConfigError(
            f"The constraint '{lower.text}' gives {lower.objective.name} a lower bound only.",
            why="Objectives are minimised: a lower bound alone forbids the best networks.",
            fix="Give it an upper bound too, or leave it out.",
        )
    if lower is not None and lower.value > upper.value:
        raise ConfigError(
            f"The constraints '{lower.text}' and '{upper.text}' contradict each other: "
            "no value is both.",
            fix="Raise the upper bound or lower the other.",
        )
    kind = upper.objective
    return Constraint(kind.name, upper.value, lower.value if lower else None, kind.unit)


def _bounds(given: Any) -> Iterator[_Bound]:
    if given is None:
        return
    if isinstance(given, str):
        yield _from_text(given)
    elif isinstance(given, Mapping):
        for name, limits in given.items():
            yield from _from_mapping(str(name), limits)
    elif isinstance(given, Sequence):
        for entry in given:
            if not isinstance(entry, str | Mapping):
                raise ConfigError(f"The constraint {entry!r} is no constraint.", fix=_FORM)
            yield from _bounds(entry)
    else:
        raise ConfigError(f"The constraints are {given!r}, which is no constraint.", fix=_FORM)


def _from_text(text: str) -> _Bound:
    form = _COMPARISON.fullmatch(text)
    if form is None or form["sign"] not in _SIDES:
        raise ConfigError(f"'{text}' is no constraint.", fix=_FORM)
    objective = resolve_objective(form["name"])
    factor = _factor(objective, form["unit"], text)
    number = float(form["number"])
    # Divide where the unit is a part, so that 20 % is exactly 0.2.
    value = number / round(1 / factor) if 0 < factor < 1 else number * factor
    return _bound(objective, _SIDES[form["sign"]], value, text.strip())


def _from_mapping(name: str, limits: Any) -> Iterator[_Bound]:
    objective = resolve_objective(name)
    if not isinstance(limits, Mapping):
        limits = {"max": limits}
    unknown = sorted(str(key) for key in limits if key not in ("max", "min"))
    if unknown or not limits:
        problem = f"unknown key '{unknown[0]}'" if unknown else "no bound"
        raise ConfigError(
            f"The constraint on '{name}' has {problem}.",
            fix="The keys are max and min: 'latency: {max: 2.0}'.",
        )
    for side, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(
                f"The constraint '{name}: {{{side}: {value!r}}}' holds no number.",
                why=f"Here bounds are plain numbers, for {objective.name} in {objective.unit}.",
                fix=_FORM,
            )
        yield _bound(objective, side, float(value), f"{name}: {{{side}: {value}}}")


def _bound(objective: AbstractObjective, side: Side, value: float, text: str) -> _Bound:
    problem = ""
    if not math.isfinite(value):
        problem = "it must be a finite number"
    elif value < 0 or (value == 0 and side == "max"):
        problem = f"{objective.name} is never below 0, so it must be greater than 0"
    elif objective.largest is not None and value >= objective.largest:
        problem = f"{objective.name} is a {objective.unit} and must be below {objective.largest:g}"
    if problem:
        raise ConfigError(
            f"The constraint '{text}' has a bound of {value:g} {objective.unit}: {problem}.",
            fix=_FORM,
        )
    return _Bound(objective, side, value, text)


def _factor(objective: AbstractObjective, unit: str, text: str) -> float:
    known = {"": 1.0, objective.unit: 1.0, **_UNITS.get(objective.unit, _COUNT)}
    if unit not in known:
        raise ConfigError(
            f"The constraint '{text.strip()}' has the unit '{unit}', but {objective.name} is in "
            f"{objective.unit}.",
            fix=f"Units that fit: {', '.join(sorted(name for name in known if name))}.",
        )
    return known[unit]
