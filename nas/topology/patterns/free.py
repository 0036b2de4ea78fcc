"""Free wiring: every forward edge is a choice."""

from nas.topology.graph import Topology
from nas.topology.patterns import connection_pattern


@connection_pattern("free", formula="x_l = f_l(any subset of earlier states)")
def free(size: int) -> Topology:
    """Offer all forward edges between the input, the operations and a last join.

    A space answers each optional edge; a node keeps at least one input, and operations that
    reach no output are left out of the network. The first operation has no choice of input.
    """
    last = size + 1
    edges = frozenset((source, target) for target in range(1, last + 1) for source in range(target))
    return Topology(last + 1, edges, joins=frozenset({last}), optional=edges - {(0, 1)})
