"""Dominance, fronts, hypervolume and knees over plain arrays of numbers to minimise.

Nothing here knows a trial or an architecture: rows are points, columns are objectives, and every
function answers with positions of rows.
"""

from nas.pareto.dominance import check_points, dominates, non_dominated, ranks
from nas.pareto.front import best_per_group, front
from nas.pareto.hypervolume import contributions, hypervolume, reference_point
from nas.pareto.knee import knee

__all__ = [
    "best_per_group",
    "check_points",
    "contributions",
    "dominates",
    "front",
    "hypervolume",
    "knee",
    "non_dominated",
    "ranks",
    "reference_point",
]
