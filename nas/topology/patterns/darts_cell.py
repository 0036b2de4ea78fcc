"""Cells found by DARTS as wirings: each of four states adds two inputs, the output is all four."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Word, connection_pattern
from nas.topology.wiring import Wiring

CELLS: dict[str, tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]] = {
    "v1": (((0, 1), ()), ((1,), (0,)), ((1,), (0,)), ((0,), (2,))),
    "v2": (((0, 1), ()), ((0, 1), ()), ((1,), (0,)), ((2,), (0,))),
}
"""Per state: the states it reads through operations, and those it reads as they are. States 0 and
1 are the outputs of the two cells before."""


def _per_cell(cell: str) -> int:
    return sum(len(through) for through, _ in CELLS[cell])


@connection_pattern(
    "darts_cell",
    Paper("Liu et al.", 2018, arxiv="1806.09055"),
    formula="s_j = o(s_a) + o(s_b), j = 2..5; c_k = W [s_2; ...; s_5]; s_0, s_1 = c_(k-2), c_(k-1)",
    parameters=(Word("cell", "v2", ("v1", "v2"), "found with the first or second order"),),
    exists=lambda size, cell: size % _per_cell(cell) == 0,
    sizes=lambda cell: f"multiples of {_per_cell(cell)} (a row of cells)",
)
def darts_cell(size: int, *, cell: str) -> Topology:
    """Put normal cells in a row, each reading the two cells before it.

    Skip connections of the cell are edges, separable and dilated convolutions its operations; the
    projection of the concatenation stands for the 1x1 in front of the next cell.
    """
    wiring, before, last = Wiring(), 0, 0
    for _ in range(size // _per_cell(cell)):
        states = [before, last]
        for through, plain in CELLS[cell]:
            ends = [wiring.operation(states[source]) for source in through]
            states.append(wiring.join(*(states[source] for source in plain), *ends))
        before, last = last, wiring.join(*states[2:], merge="concat")
    return wiring.topology()
