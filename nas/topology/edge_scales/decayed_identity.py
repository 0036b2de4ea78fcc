"""Decayed identity: the skips weaken with depth, by a fixed formula."""

from __future__ import annotations

from nas.registry import Paper, Parameter
from nas.topology.edge_scales import ResidualGains, edge_scale
from nas.topology.graph import Gain


@edge_scale(
    "decayed_identity",
    Paper("Zhang et al.", 2024, arxiv="2404.10947"),
    a_min=Parameter(0.6, 0.0, 1.0, "factor of the last skip; 1 changes nothing"),
)
def decayed_identity(number: int, count: int, *, a_min: float) -> ResidualGains:
    """Multiply skip `l` of `L` with `1 - l (1 - a_min) / L`.

    What reaches the end past all branches is multiplied with the product of these factors.
    """
    return ResidualGains(skip=Gain("fixed", 1.0 - number * (1.0 - a_min) / count))
