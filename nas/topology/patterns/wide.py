"""Wide residual wiring: residual blocks at a multiple of the width."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "wide",
    Paper("Zagoruyko and Komodakis", 2016, arxiv="1605.07146"),
    formula="x <- x + f_2(f_1(x)) on k times the stage's channels",
    parameters=(
        Whole("factor", 2, 1, 16, "the widening k"),
        Whole("span", 2, 1, 8, "operations under one skip"),
    ),
    exists=lambda size, span, **_: size % span == 0,
    sizes=lambda span, **_: f"multiples of {span}",
)
def wide(size: int, *, factor: int, span: int) -> Topology:
    """Add residual blocks whose nodes all have `factor` times the stage's width.

    The first skip is projected to that width; the output keeps it.
    """
    wiring, state = Wiring(), 0
    for _ in range(size // span):
        branch = state
        for _ in range(span):
            branch = wiring.operation(branch, width=(factor, 1))
        state = wiring.join(state, branch)
    return wiring.topology()
