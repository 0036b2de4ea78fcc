"""Chain: each operation reads the one before it."""

from nas.topology.graph import Topology
from nas.topology.patterns import connection_pattern


@connection_pattern("chain", formula="x <- f(x); n edges")
def chain(size: int) -> Topology:
    """Feed each operation from its predecessor alone.

    The output node is the last operation itself.
    """
    return Topology(size + 1, frozenset((node, node + 1) for node in range(size)))
