"""ReZero: a learned number on every branch, 0 at the start."""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.edge_scales import ResidualGains, edge_scale
from nas.topology.graph import Gain


@edge_scale("rezero", Paper("Bachlechner et al.", 2020, arxiv="2003.04887"))
def rezero(number: int, count: int) -> ResidualGains:
    """Multiply the branch with one learned number that starts at 0.

    So every residual node starts as the identity on its skip, and its Jacobian is the identity.
    """
    return ResidualGains(branch=Gain("scalar", 0.0))
