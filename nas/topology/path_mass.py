"""How much of a signal goes which way: the share of paths of each length, and the effective depth.

A residual network is a sum over its paths (Veit et al. 2016, arXiv:1605.06431), and most of what
reaches the input again on the way back came along short ones. Here the *mass* of a path is `decay
** length` times all fixed factors on it: those of merges (1, d^-1/2, 1/d, or halves) and of gains,
learned gains as they start; what other merges learn is taken as 1. `decay` is what one operation
does to a signal (or a gradient) on average. Scaling every residual branch by it gives the path of
length k the weight `decay ** k` (the Residual Expansion of Dherin and Munn 2025, arXiv:2510.03470):
on L residual blocks the lengths are binomial with probability `decay / (1 + decay)`, so the
effective depth is L/2 without decay and less than 1 where the branches are scaled by 1/L.

Shares are kept as floats with one logarithm per node, so any number of paths will do; no path is
ever walked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import final

import numpy as np
from numpy.typing import NDArray

from nas.errors import ArchitectureError
from nas.topology.graph import Architecture, Edge, Topology
from nas.topology.liveness import last_reads
from nas.topology.lookups import node_merge
from nas.topology.measures import active_nodes, carries, computes, yields_zeros
from nas.topology.merges import MERGES, SCALE_POWER, Merge


@final
@dataclass(frozen=True)
class PathMass:
    """How the mass of all paths from input to output is shared between their lengths.

    Args:
        shares: Share of the mass by number of operations, from 0 on; they add up to 1. Empty
            where nothing reaches the output.
        log_mass: Natural logarithm of the whole mass; minus infinity where nothing does.
    """

    shares: tuple[float, ...]
    log_mass: float

    @property
    def effective_depth(self) -> float:
        """Return the mean length of a path, weighted by mass; 0 where there is no path."""
        return math.fsum(length * share for length, share in enumerate(self.shares))

    def depth_of(self, share: float) -> int:
        """Return the smallest length up to which paths carry at least `share` of the mass.

        Raises:
            ArchitectureError: If the share does not lie between 0 and 1.
        """
        if not 0 < share < 1:
            raise ArchitectureError(
                f"A share of {share} is none; it lies between 0 and 1, both left out.",
                fix="Ask for 0.95, say.",
            )
        totals = enumerate(accumulate(self.shares))
        return next((length for length, total in totals if total >= share), len(self.shares) - 1)


def path_mass(graph: Topology | Architecture, *, decay: float = 1.0) -> PathMass:
    """Return how the mass of all paths is shared between their lengths.

    Args:
        graph: The wiring; a nested cell counts with its own paths.
        decay: What one operation does to a signal on average, above 0.

    Raises:
        ArchitectureError: If `decay` is no positive number, or a name is unknown.
    """
    if not (math.isfinite(decay) and decay > 0):
        raise ArchitectureError(
            f"A decay of {decay} is no positive number.",
            fix="Use 1 for the plain share of paths, less for signals that fade.",
        )
    series = _series(graph, math.log(decay))
    return PathMass(tuple(series.shares.tolist()), series.log_mass)


def effective_depth(graph: Topology | Architecture, *, decay: float = 1.0) -> float:
    """Return the mean number of operations on a path, weighted by the mass of paths.

    Raises:
        ArchitectureError: As `path_mass` does.
    """
    return path_mass(graph, decay=decay).effective_depth


@final
@dataclass(frozen=True, eq=False)
class _Series:
    """Masses by length: `shares * exp(log_mass)`, the shares adding up to 1."""

    shares: NDArray[np.float64]
    log_mass: float

    def times(self, log_factor: float, longer: int = 0) -> _Series:
        """Return the masses behind `longer` more operations and a factor."""
        if not self.shares.size or (log_factor == 0 and not longer):
            return self
        shares = np.concatenate((np.zeros(longer), self.shares)) if longer else self.shares
        return _Series(shares, self.log_mass + log_factor)

    def followed_by(self, other: _Series) -> _Series:
        """Return the masses of every path of this continued by every path of the other."""
        if not (self.shares.size and other.shares.size):
            return _NOTHING
        shares = np.convolve(self.shares, other.shares)
        return _Series(shares / shares.sum(), self.log_mass + other.log_mass)


_NOTHING = _Series(np.zeros(0), -math.inf)
_START = _Series(np.ones(1), 0.0)


def _added(entries: list[_Series]) -> _Series:
    """Return the masses of disjoint sets of paths together."""
    entries = [entry for entry in entries if entry.shares.size]
    if len(entries) < 2:
        return entries[0] if entries else _NOTHING
    top = max(entry.log_mass for entry in entries)
    total = np.zeros(max(entry.shares.size for entry in entries))
    for entry in entries:
        total[: entry.shares.size] += entry.shares * math.exp(entry.log_mass - top)
    whole = float(total.sum())
    return _Series(total / whole, top + math.log(whole))


def _series(graph: Topology | Architecture, log_decay: float) -> _Series:
    if isinstance(graph, Topology):
        reads = [[(source, 0.0, 0) for source in graph.sources(n)] for n in range(graph.num_nodes)]
        active = active_nodes(graph)
        merges = [graph.rule(node).merge or graph.merge for node in range(graph.num_nodes)]
        factors = [
            log_factors(MERGES.get(merge), "auto", len(sources))
            for merge, sources in zip(merges, reads, strict=True)
        ]
        own = [_START.times(log_decay, 1) if n in active else _START for n in range(len(reads))]
        return _run(reads, factors, own, log_decay)
    reads, factors, own = [[]], [()], [_START]
    for index, node in enumerate(graph.nodes[1:], start=1):
        live = [edge for edge in graph.inputs(index) if carries(edge)]
        rule = node_merge(graph, index).at(len(live))
        merging = log_factors(rule, node.scale, len(live))
        weighed = [(_read(edge), factor) for edge, factor in zip(live, merging, strict=True)]
        reads.append([entry for entry, _ in weighed if entry is not None])
        factors.append(tuple(factor for entry, factor in weighed if entry is not None))
        if node.cell is not None:
            own.append(_cell_series(node.cell, log_decay))
        elif yields_zeros(node.operation):
            own.append(_NOTHING)
        else:
            own.append(_START.times(log_decay, 1) if computes(node.operation) else _START)
    return _run(reads, factors, own, log_decay)


@lru_cache(maxsize=256)
def _cell_series(cell: Architecture, log_decay: float) -> _Series:
    return _series(cell, log_decay)


def _read(edge: Edge) -> tuple[int, float, int] | None:
    """Return source, logarithm of the factor and operations of an edge; None if it starts at 0."""
    if edge.gain.value == 0:
        return None
    return edge.source, math.log(abs(edge.gain.value)), int(computes(edge.transform))


def log_factors(rule: Merge, scale: str, degree: int) -> tuple[float, ...]:
    """Return the logarithms of what a merge multiplies its inputs with, oldest first.

    Args:
        rule: The merge; the numbers that it learns are taken as 1.
        scale: Of the node.
        degree: Live inputs.
    """
    if degree < 2:
        return (0.0,) * degree
    if rule.weight == "pairwise":  # ((x_1 + x_2) / 2 + x_3) / 2, and so on
        halvings = [degree - max(1, place) for place in range(degree)]
        return tuple(-math.log(2) * count for count in halvings)
    return (SCALE_POWER[rule.resolve_scale(scale)] * math.log(degree),) * degree


def _run(
    reads: list[list[tuple[int, float, int]]],
    factors: list[tuple[float, ...]],
    own: list[_Series],
    log_decay: float,
) -> _Series:
    """Carry the masses from node 0 to the last one, and drop what nothing reads any more."""
    done = last_reads([[source for source, _, _ in entries] for entries in reads])
    reach: dict[int, _Series] = {0: own[0]}
    for node in range(1, len(reads)):
        entries = [
            reach[source].times(log_gain + log_factor + log_decay * longer, longer)
            for (source, log_gain, longer), log_factor in zip(
                reads[node], factors[node], strict=True
            )
        ]
        merged = _added(entries)
        reach[node] = own[node] if merged is _START else merged.followed_by(own[node])
        for source in done[node]:
            reach.pop(source)
    return reach[len(reads) - 1]
