"""What a search minimises and what it must keep: the objectives and constraints of a config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

from nas.objectives.base import AbstractObjective
from nas.objectives.constraints import Constraint, parse_constraints
from nas.objectives.elsewhere import LatencyElsewhere
from nas.objectives.names import resolve_objective, resolve_objectives
from nas.search.settings.config import SearchConfig


@final
@dataclass(frozen=True)
class Goals:
    """The numbers of a search.

    Args:
        searched: Objectives to minimise, in order.
        constraints: Bounds that a member must keep.
        bounded: Objectives that are bounded and not minimised.
    """

    searched: tuple[AbstractObjective, ...]
    constraints: tuple[Constraint, ...]
    bounded: tuple[AbstractObjective, ...]

    @classmethod
    def of(cls, config: SearchConfig) -> Self:
        """Return the goals of a resolved config; its plugins are imported."""
        searched = resolve_objectives(config.objectives)
        constraints = parse_constraints(config.constraints)
        names = {each.name for each in searched}
        bounded = (resolve_objective(c.objective) for c in constraints if c.objective not in names)
        return cls(searched, constraints, tuple(bounded))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the searched objectives, as records hold them."""
        return tuple(each.name for each in self.searched)

    @property
    def every(self) -> tuple[AbstractObjective, ...]:
        """All objectives that a trial needs a number for."""
        return (*self.searched, *self.bounded)

    @property
    def measured(self) -> tuple[AbstractObjective, ...]:
        """Objectives that the driver measures alone on a quiet device."""
        return tuple(each for each in self.every if each.needs_quiet_device)

    @property
    def elsewhere(self) -> tuple[LatencyElsewhere, ...]:
        """Latencies on other devices, which the driver predicts."""
        return tuple(each for each in self.every if isinstance(each, LatencyElsewhere))

    @property
    def driven(self) -> tuple[AbstractObjective, ...]:
        """Objectives that the driver answers itself, measured or predicted."""
        return (*self.measured, *self.elsewhere)

    @property
    def evaluated(self) -> tuple[AbstractObjective, ...]:
        """Objectives that workers evaluate."""
        return tuple(each for each in self.every if each not in self.driven)

    @property
    def needs_weights(self) -> bool:
        """Whether a supernet has to be trained."""
        return any(each.needs_weights for each in self.every)

    def vector(self, values: Mapping[str, Mapping[str, Any]]) -> tuple[float, ...]:
        """Return the searched objectives of a finished trial."""
        return tuple(float(values[name]["value"]) for name in self.names)

    def violations(self, values: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
        """Return by which share of its bound each constraint is exceeded; 0 or less is kept."""
        return {
            each.objective: each.violation(float(values[each.objective]["value"])) / each.upper
            for each in self.constraints
        }

    def feasible(self, values: Mapping[str, Mapping[str, Any]]) -> bool:
        """Tell whether a finished trial keeps every constraint."""
        return all(violation <= 0 for violation in self.violations(values).values())
