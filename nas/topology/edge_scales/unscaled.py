"""No scale: every edge as the wiring has it."""

from __future__ import annotations

from nas.topology.edge_scales import UNSCALED, ResidualGains, edge_scale


@edge_scale(UNSCALED)
def unscaled(number: int, count: int) -> ResidualGains:
    """Leave all edges as they are."""
    return ResidualGains()
