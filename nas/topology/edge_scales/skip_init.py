"""SkipInit: a learned number at the end of every branch, in place of its norm."""

from __future__ import annotations

from nas.registry import Paper, Parameter
from nas.topology.edge_scales import ResidualGains, edge_scale
from nas.topology.graph import Gain


@edge_scale(
    "skip_init",
    Paper("De and Smith", 2020, arxiv="2002.10444"),
    start=Parameter(0.0, -10.0, 10.0, "where the number starts"),
)
def skip_init(number: int, count: int, *, start: float) -> ResidualGains:
    """Multiply the branch with one learned number behind its last layer.

    Published with 0 at the start and operations without norms; the gain is that of ReZero.
    """
    return ResidualGains(branch=Gain("scalar", start))
