"""Inception wiring: four branches side by side, one of them behind a pooling, stacked."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import connection_pattern
from nas.topology.wiring import Wiring

LENGTHS = (1, 2, 2)
PER_MODULE = sum(LENGTHS) + 1


@connection_pattern(
    "inception",
    Paper("Szegedy et al.", 2014, arxiv="1409.4842"),
    formula="x <- [f_1(x); f_3(f_2(x)); f_5(f_4(x)); f_6(pool(x))]",
    exists=lambda size: size % PER_MODULE == 0,
    sizes=f"multiples of {PER_MODULE}",
)
def inception(size: int) -> Topology:
    """Stack four branches of 1, 2, 2 and 1 operations, the last behind a max pooling.

    The branches share the stage's width equally.
    """
    wiring, state, share = Wiring(), 0, (1, len(LENGTHS) + 1)
    for _ in range(size // PER_MODULE):
        ends = []
        for length in LENGTHS:
            branch = state
            for _ in range(length):
                branch = wiring.operation(branch, width=share)
            ends.append(branch)
        ends.append(wiring.operation(wiring.fixed("max_pool3x3", state), width=share))
        state = wiring.join(*ends, merge="stack")
    return wiring.topology()
