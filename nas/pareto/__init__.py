"""Dominance, fronts, hypervolume and knees over plain arrays of numbers, noisy or exact.

Nothing here knows a trial or an architecture: rows are points, columns are objectives to minimise,
and every function answers with positions of rows.
"""

from nas.pareto.attainment import Attainment, attainment, attainment_surface
from nas.pareto.dominance import check_points, dominates, non_dominated, ranks
from nas.pareto.front import best_per_group, front
from nas.pareto.hypervolume import contributions, hypervolume, reference_point
from nas.pareto.knee import knee
from nas.pareto.noise import LEVEL, Noise, normal_quantile
from nas.pareto.shrinkage import Shrunken, shrink
from nas.pareto.uncertainty import (
    Interval,
    apart,
    contenders,
    front_probabilities,
    hypervolume_interval,
    knee_probabilities,
    tie_groups,
)

__all__ = [
    "LEVEL",
    "Attainment",
    "Interval",
    "Noise",
    "Shrunken",
    "apart",
    "attainment",
    "attainment_surface",
    "best_per_group",
    "check_points",
    "contenders",
    "contributions",
    "dominates",
    "front",
    "front_probabilities",
    "hypervolume",
    "hypervolume_interval",
    "knee",
    "knee_probabilities",
    "non_dominated",
    "normal_quantile",
    "ranks",
    "reference_point",
    "shrink",
    "tie_groups",
]
