"""LayerScale: a learned number per channel of every branch, small at the start."""

from __future__ import annotations

from nas.registry import Paper, Parameter
from nas.topology.edge_scales import ResidualGains, edge_scale
from nas.topology.graph import Gain

MERGES_PER_BLOCK = 2
"""The published depths count blocks of two residual nodes, attention and feed-forward."""


@edge_scale(
    "layer_scale",
    Paper("Touvron et al.", 2021, arxiv="2103.17239"),
    start=Parameter(0.0, 0.0, 10.0, "where the numbers start; 0 chooses by depth"),
)
def layer_scale(number: int, count: int, *, start: float) -> ResidualGains:
    """Multiply every channel of the branch with a learned number of its own.

    By depth they start at 0.1 up to 18 blocks (36 residual nodes), at 1e-5 up to 24 and at 1e-6
    beyond.
    """
    return ResidualGains(branch=Gain("channel", start or start_by_depth(count)))


def start_by_depth(count: int) -> float:
    """Return the published start for `count` residual nodes."""
    blocks = count / MERGES_PER_BLOCK
    if blocks <= 18:
        return 0.1
    return 1e-5 if blocks <= 24 else 1e-6
