"""Learning rates that know the wiring: the longer and the more the paths, the smaller the rate.

Chen et al. 2024 (arXiv:2402.17440) derive that the largest stable rate of a network of rectified
layers is proportional to `(sum over paths of length^3)^(-1/2)`: exactly `L^(-3/2)` for a chain of
L operations. The sum runs over the paths of *one cell*. Over a stack of residual blocks it
explodes (16 blocks: 65,536 paths, a sum of 39,845,888 where the chain has 4,096), so that the
literal rule would forbid to train a ResNet. Hence two rules:

- `cell_paths`: the published sum over each nested cell; the longest-winded cell decides. A network
  without nested cells is taken as one cell, which is meant for chains and small cells alone.
- `weighted_paths`: the sum over the whole network, each path weighed with the squares of the
  factors on it (gains, means, nested means), as its share of the signal's second moment is; inputs
  of a concatenation have equal shares, and what other merges learn counts as 1. With branches
  scaled by `1/sqrt(L)` it stays bounded at any depth.

Kernel sizes, which divide the published rate further, are not looked at: networks that are
compared mostly share them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from nas.errors import ConfigError
from nas.topology.graph import Architecture, Edge
from nas.topology.lookups import node_merge
from nas.topology.measures import carries, computes, path_moments, yields_zeros
from nas.topology.merges import Merge
from nas.topology.path_mass import log_factors

RateRule = Literal["fixed", "cell_paths", "weighted_paths"]

LARGEST_SUM = 1e100
"""Sums of length^3 beyond which a rate would be nothing but zero."""

Moments = tuple[float, float, float, float]
"""Sums over paths of weight times length^0, ^1, ^2, ^3."""

NOTHING: Moments = (0.0, 0.0, 0.0, 0.0)
ONE_PATH: Moments = (1.0, 0.0, 0.0, 0.0)
ONE_OPERATION: Moments = (1.0, 1.0, 1.0, 1.0)


def rate_factor(architecture: Architecture, rule: RateRule) -> float:
    """Return what a recipe's learning rate is multiplied with; 1 for one operation alone.

    Raises:
        ConfigError: If the paths outweigh every number, so that no rate is left.
    """
    if rule == "fixed":
        return 1.0
    if rule == "weighted_paths":
        return _factor(weighted_moments(architecture)[3], rule)
    cells = {node.cell for node in architecture.nodes if node.cell is not None}
    return min(_factor(path_moments(cell).sums[2], rule) for cell in (cells or {architecture}))


def _factor(cubes: float, rule: RateRule) -> float:
    """Return `cubes^(-1/2)`, at most 1."""
    if not cubes <= LARGEST_SUM:  # sums beyond all floats come as infinity or as no number
        other = "cell_paths" if rule == "weighted_paths" else "weighted_paths"
        raise ConfigError(
            "The paths of this network outweigh every number, so no learning rate is left.",
            why=f"The rule '{rule}' divides by the root of the sum of length^3 over its paths.",
            fix=f"Scale the branches, as edge_scale=inverse_root_depth does, or use '{other}'.",
        )
    return 1.0 / math.sqrt(max(cubes, 1.0))


def weighted_moments(architecture: Architecture) -> Moments:
    """Return the moments of path length, each path weighed with the squares of its factors.

    A learned gain counts with where it starts.
    """
    found: list[Moments] = [ONE_PATH]
    for index, node in enumerate(architecture.nodes[1:], start=1):
        live = [edge for edge in architecture.inputs(index) if carries(edge)]
        rule = node_merge(architecture, index).at(len(live))
        merged = NOTHING
        for edge, weight in zip(live, _weights(rule, node.scale, len(live)), strict=True):
            merged = _sum(merged, _through(edge, found[edge.source], weight))
        if node.cell is not None:
            merged = _behind(merged, weighted_moments(node.cell))
        elif yields_zeros(node.operation):
            merged = NOTHING
        elif computes(node.operation):
            merged = _behind(merged, ONE_OPERATION)
        found.append(merged)
    return found[-1]


def _weights(rule: Merge, scale: str, degree: int) -> Sequence[float]:
    """Return the weight of every input, oldest first.

    Inputs side by side share the second moment, and so do those of the convolution behind them,
    whose initial weights undo its scale; unequal widths are taken as equal.
    """
    if rule.weight in ("stacked", "projection"):
        return (1 / max(degree, 1),) * degree
    return [math.exp(2 * factor) for factor in log_factors(rule, scale, degree)]


def _through(edge: Edge, moments: Moments, factor: float) -> Moments:
    weight = factor * edge.gain.value**2
    row = _behind(moments, ONE_OPERATION) if computes(edge.transform) else moments
    return (row[0] * weight, row[1] * weight, row[2] * weight, row[3] * weight)


def _sum(left: Moments, right: Moments) -> Moments:
    return (left[0] + right[0], left[1] + right[1], left[2] + right[2], left[3] + right[3])


def _behind(first: Moments, second: Moments) -> Moments:
    """Return the moments of paths that run through both, one after the other."""

    def power(exponent: int) -> float:
        return sum(
            math.comb(exponent, part) * first[part] * second[exponent - part]
            for part in range(exponent + 1)
        )

    return (power(0), power(1), power(2), power(3))
