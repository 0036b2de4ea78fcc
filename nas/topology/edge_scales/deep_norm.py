"""DeepNorm: skips that outweigh the branches in front of a norm, the more the deeper."""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.edge_scales import ResidualGains, edge_scale
from nas.topology.graph import Gain


@edge_scale("deep_norm", Paper("Wang et al.", 2022, arxiv="2203.00555"))
def deep_norm(number: int, count: int) -> ResidualGains:
    """Multiply every branch with `L^(-1/4)`.

    Published as `norm(a x + f(x))` with `a = (2 N)^(1/4)` for N encoder layers of two residual
    nodes, L = 2 N. A norm does not see the scale of what it reads, so that is
    `norm(x + f(x) / a)`, which is written here, because it does not overflow without a norm.
    The published factor on initial weights is left to the initialisation.
    """
    return ResidualGains(branch=Gain("fixed", count**-0.25))
