"""Budgets: `latency <= 2 ms` or `latency: {max: 2.0}`, read, checked and compared.

A constraint may bound an objective that the search does not minimise. It is kept under the
objective's full name, so that `latency` and `latency_ms[eager,b1,fp32]` cannot hold two budgets.
A bare number is in the objective's unit; where that makes no sense of it, as when seconds were
meant, the user is told the unit.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, final

from nas.errors import ConfigError
from nas.objectives.base import AbstractObjective
from nas.objectives.names import resolve_objective
from nas.units import NUMBER, SUFFIX, Quantity, Unit, parse_quantity

Side = Literal["max", "min"]
Verdict = Literal["kept", "violated", "not told apart from the bound"]

_log = logging.getLogger("nas")

_COMPARISON = re.compile(
    r"\s*(?P<name>[A-Za-z_][\w.]*\s*(?:\[[^\[\]]*\])?(?:@[\w-]+)?)\s*(?P<sign><=|>=|<|>|==?|≤|≥)\s*"
    rf"(?P<quantity>(?P<number>{NUMBER})\s*(?P<suffix>{SUFFIX}))\s*",
)
_SIDES: dict[str, Side] = {"<=": "max", "<": "max", "≤": "max", ">=": "min", ">": "min", "≥": "min"}
_FORM = "Write 'latency <= 2 ms' or 'latency: {max: 2.0}'."
PLAUSIBLE_PASS: Final = (Quantity(0.005, Unit.MILLISECONDS), Quantity(1000.0, Unit.MILLISECONDS))
"""Latencies outside of which a bare number was hardly meant in milliseconds: below, calling a few
operations takes longer than the bound; above, a second was hardly written as 1000."""
FAR: Final = 100.0
"""Factor between a bare bound and what networks take from which its unit is doubted."""


@final
@dataclass(frozen=True)
class Constraint:
    """Bounds on one objective, in its unit.

    Args:
        objective: Full name of the objective.
        upper: Largest value allowed.
        lower: Smallest value allowed, if there is such a bound.
        unit: Unit of the bounds.
        bare: Whether the user wrote the upper bound without a unit.
    """

    objective: str
    upper: float
    lower: float | None = None
    unit: Unit = Unit.COUNT
    bare: bool = field(default=False, compare=False)

    def violation(self, value: float) -> float:
        """Return by how much `value` breaks the bounds; 0 or below where it keeps them."""
        over = value - self.upper
        return over if self.lower is None else max(over, self.lower - value)

    def allows(self, value: float) -> bool:
        """Tell whether `value` keeps the bounds."""
        return self.violation(value) <= 0

    def to_dict(self) -> dict[str, Any]:
        """Return the bounds as plain data, for a record."""
        bounds = {"upper": self.upper, "lower": self.lower, "unit": str(self.unit)}
        return {"objective": self.objective, **bounds, "text": str(self)}

    def verdict(self, low: float, high: float) -> Verdict:
        """Return what the interval from `low` to `high` says of a value's place."""
        if self.allows(low) and self.allows(high):
            return "kept"
        below = self.lower is not None and high < self.lower
        return "violated" if low > self.upper or below else "not told apart from the bound"

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
    bare: bool


def parse_constraints(
    given: Mapping[str, Any] | Sequence[str | Mapping[str, Any]] | str | None,
    *,
    say_doubts: bool = False,
) -> tuple[Constraint, ...]:
    """Read the constraints of a search.

    Args:
        given: A mapping such as `{latency: {max: 2.0}}`, a text such as `latency <= 2 ms`, or a
            list of either. Units are optional: ms, s, us; %; k, M, G for counts; B, kB, MB, MiB.
        say_doubts: Whether to warn of a bare latency that no network takes; for what the user
            wrote, not for what is read again.

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
    return tuple(_constraint(own, say_doubts) for own in bounds.values())


def _constraint(own: Mapping[Side, _Bound], say_doubts: bool) -> Constraint:
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
    found = Constraint(
        kind.name, upper.value, lower.value if lower else None, kind.unit, upper.bare
    )
    doubt = _doubt_beforehand(found)
    if doubt and say_doubts:
        _log.warning("the constraint '%s': %s", upper.text, doubt)
    return found


def doubt_of_unit(constraint: Constraint, taken: float) -> str | None:
    """Say that a bound was hardly meant in its unit, seen what a network takes.

    Args:
        constraint: The bound.
        taken: What some network takes, in the constraint's unit.

    Returns:
        A sentence that names the unit and what may have been meant; None where the bound came with
        a unit, or is not far from what networks take.
    """
    if not constraint.bare or constraint.unit is not Unit.MILLISECONDS or taken <= 0:
        return None
    if 1 / FAR < constraint.upper / taken < FAR:
        return None
    return f"{_as_meant(constraint)} A network here takes {taken:.3g} {constraint.unit}."


def _doubt_beforehand(constraint: Constraint) -> str | None:
    if not constraint.bare or constraint.unit is not Unit.MILLISECONDS:
        return None
    fastest, slowest = PLAUSIBLE_PASS
    bound = Quantity(constraint.upper, constraint.unit)
    return None if fastest <= bound < slowest else _as_meant(constraint)


def _as_meant(constraint: Constraint) -> str:
    bound = Quantity(constraint.upper, constraint.unit)
    other = Unit.MICROSECONDS if bound >= PLAUSIBLE_PASS[1] else Unit.SECONDS
    meant = Quantity(bound.value, other)
    return (
        f"{bound.value:g} without a unit is in {constraint.unit}, so the bound is "
        f"{bound.readable()}; write '{meant}' if that is what you mean."
    )


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
    value = _value(objective, form["quantity"], text)
    return _bound(objective, _SIDES[form["sign"]], value, text.strip(), not form["suffix"])


def _value(objective: AbstractObjective, quantity: str, text: str) -> float:
    try:
        return parse_quantity(quantity, objective.unit).value
    except ConfigError as error:
        raise ConfigError(
            f"The constraint '{text.strip()}' bounds {objective.name}: {error.what}", fix=error.fix
        ) from None


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
        text = f"{name}: {{{side}: {value}}}"
        if isinstance(value, str):
            bare = value.strip()[-1:].isdigit()
            yield _bound(objective, side, _value(objective, value, text), text, bare)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(
                f"The constraint '{name}: {{{side}: {value!r}}}' holds no number.",
                why=f"A bound is a number, for {objective.name} in {objective.unit}.",
                fix=_FORM,
            )
        else:
            yield _bound(objective, side, _as_float(value), text, True)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond the largest float, refused as infinity is
        return math.inf if value > 0 else -math.inf


def _bound(objective: AbstractObjective, side: Side, value: float, text: str, bare: bool) -> _Bound:
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
    return _Bound(objective, side, value, text, bare)
