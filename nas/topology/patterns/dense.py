"""Dense wiring: every operation reads all earlier states."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import connection_pattern


@connection_pattern(
    "dense",
    Paper("Huang et al.", 2016, arxiv="1608.06993"),
    formula="x_l = f_l([x_0; ...; x_(l-1)]); n (n + 1) / 2 edges",
)
def dense(size: int) -> Topology:
    """Feed each operation from the input and from all operations before it.

    `size (size + 1) / 2` edges; the last operation is the output node. Published with
    concatenation.
    """
    edges = {(source, target) for target in range(1, size + 1) for source in range(target)}
    return Topology(size + 1, frozenset(edges), merge="concat")
