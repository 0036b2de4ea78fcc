"""1/L: branches weaken as the number of residual nodes grows."""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.edge_scales import ResidualGains, edge_scale
from nas.topology.graph import Gain


@edge_scale("inverse_depth", Paper("Marion et al.", 2022, arxiv="2206.06929"))
def inverse_depth(number: int, count: int) -> ResidualGains:
    """Multiply every branch with `1 / L`, so that a deep stack approaches a flow."""
    return ResidualGains(branch=Gain("fixed", 1.0 / count))
