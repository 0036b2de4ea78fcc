"""From an architecture to one number to minimise: error, cross-entropy, latency, counted costs.

An objective is a name, a unit, the way its number comes about and one method. A new one is a file
in `nas/objectives/kinds/` or in a plugin module that registers a class with `@objective()`; names,
constraints, the search and the front read the registry. Importing this package loads no torch.
"""

from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.constraints import Constraint, parse_constraints
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.names import OBJECTIVES, objective, resolve_objective, resolve_objectives

__all__ = [
    "OBJECTIVES",
    "AbstractObjective",
    "Constraint",
    "EvaluationContext",
    "LatencyConfig",
    "Measurement",
    "Source",
    "objective",
    "parse_constraints",
    "resolve_objective",
    "resolve_objectives",
]
