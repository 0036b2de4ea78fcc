"""Parallel pairs: residual branches side by side instead of in a row."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "parallel_pairs",
    Paper("Touvron et al.", 2022, arxiv="2203.09795"),
    formula="x <- x + f_1(x) + f_2(x)",
    parameters=(Whole("ways", 2, 1, 16, "branches side by side"),),
    exists=lambda size, ways: size % ways == 0,
    sizes=lambda ways: f"multiples of {ways}",
)
def parallel_pairs(size: int, *, ways: int) -> Topology:
    """Add `ways` operations of the same state at once: as many weights, a shorter critical path."""
    wiring, state = Wiring(), 0
    for _ in range(size // ways):
        branches = [wiring.operation(state) for _ in range(ways)]
        state = wiring.join(state, *branches)
    return wiring.topology()
