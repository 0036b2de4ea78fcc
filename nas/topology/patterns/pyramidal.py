"""Pyramidal residual wiring: every block is a little wider than the one before."""

from nas.registry import Paper
from nas.topology.graph import Link, Topology
from nas.topology.patterns import Whole, Word, connection_pattern
from nas.topology.wiring import Wiring

ZERO_PADDED = Link(transform="zero_pad")


@connection_pattern(
    "pyramidal",
    Paper("Han et al.", 2016, arxiv="1610.02915"),
    formula="D_k = floor(D_0 (1 + growth k / N)); zero-padded skips",
    parameters=(
        Whole("growth", 100, 1, 800, "growth of the width over the stage, in percent"),
        Whole("span", 2, 1, 8, "operations under one skip"),
        Word("schedule", "additive", ("additive", "multiplicative"), "equal steps or equal ratios"),
    ),
    exists=lambda size, span, **_: size % span == 0,
    sizes=lambda span, **_: f"multiples of {span}",
)
def pyramidal(size: int, *, growth: int, span: int, schedule: str) -> Topology:
    """Widen block by block; skips are the identity, padded with zeros for the new channels.

    Block k of N has `1 + growth k / N` times the stage's width, or `(1 + growth)^(k / N)` times
    with the multiplicative schedule (rounded to thousandths).
    """
    wiring, state, blocks = Wiring(), 0, size // span
    for block in range(1, blocks + 1):
        if schedule == "additive":
            share = (100 * blocks + growth * block, 100 * blocks)
        else:
            share = (round(1000 * (1 + growth / 100) ** (block / blocks)), 1000)
        branch = state
        for _ in range(span):
            branch = wiring.operation(branch, width=share)
        state = wiring.join((state, ZERO_PADDED), branch)
    return wiring.topology()
