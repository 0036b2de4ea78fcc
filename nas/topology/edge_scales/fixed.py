"""A fixed factor on every branch, as in Inception-ResNet."""

from __future__ import annotations

from nas.registry import Paper, Parameter
from nas.topology.edge_scales import ResidualGains, edge_scale
from nas.topology.graph import Gain


@edge_scale(
    "fixed",
    Paper("Szegedy et al.", 2016, arxiv="1602.07261"),
    value=Parameter(0.2, 0.0, 10.0, "the factor; 0.1 to 0.3 as published"),
)
def fixed(number: int, count: int, *, value: float) -> ResidualGains:
    """Multiply every branch with one number."""
    return ResidualGains(branch=Gain("fixed", value))
