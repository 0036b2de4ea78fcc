"""1/sqrt(L): the scale under which learning rates hold from shallow to deep networks."""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.edge_scales import ResidualGains, edge_scale
from nas.topology.graph import Gain


@edge_scale("inverse_root_depth", Paper("Bordelon et al.", 2023, arxiv="2309.16620"))
def inverse_root_depth(number: int, count: int) -> ResidualGains:
    """Multiply every branch with `1 / sqrt(L)`.

    Uncorrelated branches then add up to a bounded second moment, `(1 + 1/L)^L < e` of the input's.
    """
    return ResidualGains(branch=Gain("fixed", count**-0.5))
