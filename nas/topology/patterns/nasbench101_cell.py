"""Cells of NAS-Bench-101 as wirings: sums inside, a concatenation at the end."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Word, connection_pattern
from nas.topology.wiring import Wiring

CELLS = {
    "inception": (5, ((0, 1), (0, 2), (0, 3), (0, 5), (1, 6), (2, 6), (3, 4), (4, 6), (5, 6))),
    "residual": (2, ((0, 1), (0, 3), (1, 2), (2, 3))),
}
"""Operations of a cell and its edges; node 0 is its input, the node behind all its output."""


@connection_pattern(
    "nasbench101_cell",
    Paper("Ying et al.", 2019, arxiv="1902.09635"),
    formula="v_i = f_i(sum of its inputs); out = W [v_i; ...], plus the input where linked",
    parameters=(Word("cell", "inception", tuple(CELLS), "which cell"),),
    exists=lambda size, cell: size % CELLS[cell][0] == 0,
    sizes=lambda cell: f"multiples of {CELLS[cell][0]} (a row of cells)",
)
def nasbench101_cell(size: int, *, cell: str) -> Topology:
    """Put cells in a row: 3x3, 1x1 and pooling nodes that sum what they read.

    The output concatenates its inputs; an edge from the cell's input is added to that. Published
    nodes share the output's channels and have a 1x1 on edges from the input; here every node has
    all channels, and a projection stands behind the concatenation, so any operation fits, and
    parameters are not the benchmark's.

    `inception` is the Inception-like cell of the benchmark's own example (two operations stand for
    its 5x5 branch), `residual` a ResNet-like one: two operations in a row and the input added.
    """
    operations, edges = CELLS[cell]
    wiring, state = Wiring(), 0
    for _ in range(size // operations):
        number = {0: state}
        for node in range(1, operations + 1):
            number[node] = wiring.operation(*(number[s] for s, target in edges if target == node))
        ends = [source for source, target in edges if target == operations + 1]
        inner = [number[source] for source in ends if source]
        output = inner[0] if len(inner) == 1 else wiring.join(*inner, merge="concat")
        state = wiring.join(state, output) if 0 in ends else output
    return wiring.topology()
