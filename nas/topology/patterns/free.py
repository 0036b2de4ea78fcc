"""Free wiring: every forward edge is a choice."""

from nas.topology.graph import Topology
from nas.topology.patterns import connection_pattern


@connection_pattern("free")
def free(size: int) -> Topology:
    """Offer all forward edges between the input, the operations and a last join.

    A space answers each optional edge; a node keeps at least one input, and operations that
    reach no output are left out of the network.
    """
    last = size + 1
    edges = frozenset((s, t) for t in range(1, last + 1) for s in range(t) if (s, t) != (0, last))
    return Topology(last + 1, edges, joins=frozenset({last}), optional=edges - {(0, 1)})
