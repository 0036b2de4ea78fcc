"""A wiring and an operation of one's own, registered on import; `ladders.yaml` names this module.

A pattern returns which node feeds which and nothing else: the compiler, the supernet, the costs
and the drawings follow from it. An operation is a row of layers; shapes, parameters and the torch
module follow from that.
"""

from __future__ import annotations

from nas.topology.graph import Topology
from nas.topology.layers import BatchNorm, Conv, DepthwiseConv, ReLU
from nas.topology.operations import operation
from nas.topology.patterns import connection_pattern

operation(
    "wide_separable",
    DepthwiseConv(strided=True, kernel=7),
    Conv(kernel=1),
    BatchNorm(),
    ReLU(),
)


@connection_pattern("rungs", exists=lambda size: size >= 2, sizes="2 operations or more")
def rungs(size: int) -> Topology:
    """Feed each operation from the two states before it.

    Like the rails and rungs of a ladder: neighbouring operations overlap, and no state is read
    more than two steps later.
    """
    rails = {(node, node + 1) for node in range(size)}
    steps = {(node, node + 2) for node in range(size - 1)}
    return Topology(size + 1, frozenset(rails | steps))
