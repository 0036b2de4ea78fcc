"""Log-dense wiring: shortcuts of length 1, 2, 4, 8, ... into every operation."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import connection_pattern


@connection_pattern(
    "log_dense",
    Paper("Hu et al.", 2017, arxiv="1711.00002"),
    formula="x_l = f_l([x_(l-1); x_(l-2); x_(l-4); ...]); sum_l (1 + floor(log2 l)) edges",
)
def log_dense(size: int) -> Topology:
    """Feed each operation from the states 1, 2, 4, 8, ... ranks before it.

    Operation `l` has `1 + floor(log2(l))` inputs: O(n log n) edges where dense wiring needs
    O(n^2), and two states are O(log n) edges apart.
    """
    edges = {
        (node - 2**power, node) for node in range(1, size + 1) for power in range(node.bit_length())
    }
    return Topology(size + 1, frozenset(edges), merge="concat")
