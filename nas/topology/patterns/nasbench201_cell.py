"""The cell of NAS-Bench-201 as a wiring: four states, an operation between every two."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring


def _per_cell(states: int) -> int:
    return states * (states - 1) // 2


@connection_pattern(
    "nasbench201_cell",
    Paper("Dong and Yang", 2020, arxiv="2001.00326"),
    formula="x_j = sum_(i < j) f_ij(x_i)",
    parameters=(Whole("states", 4, 2, 8, "states of a cell, its input included"),),
    exists=lambda size, states: size % _per_cell(states) == 0,
    sizes=lambda states: f"multiples of {_per_cell(states)} (a row of cells)",
)
def nasbench201_cell(size: int, *, states: int) -> Topology:
    """Compute every state as the sum of one operation of each earlier state; cells in a row."""
    wiring, state = Wiring(), 0
    for _ in range(size // _per_cell(states)):
        held = [state]
        while len(held) < states:
            ends = [wiring.operation(earlier) for earlier in held]
            held.append(ends[0] if len(ends) == 1 else wiring.join(*ends))
        state = held[-1]
    return wiring.topology()
