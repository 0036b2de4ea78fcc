"""Bottleneck residual wiring: 1x1 down, the operation, 1x1 up, and a skip around the three."""

from nas.registry import Paper
from nas.topology.fixed_operations import POINTWISE
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, Word, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "bottleneck",
    Paper("He et al.", 2015, arxiv="1512.03385"),
    formula="x <- x + W_up f(W_down x), f on 1/r of the channels",
    parameters=(
        Whole("reduction", 4, 1, 16, "factor between the width outside and inside"),
        Word("order", "post", ("post", "pre"), "norm and rectifier behind or before the 1x1"),
    ),
)
def bottleneck(size: int, *, reduction: int, order: str) -> Topology:
    """Run each operation on a part of the width, between two fixed 1x1 convolutions, under a skip.

    `order=pre` is the form of He et al. 2016, arXiv:1603.05027, which closes with a norm and a
    rectifier; choose pre-activated operations with it.
    """
    wiring, state, narrow = Wiring(), 0, (1, reduction)
    rise = POINTWISE[order] if order == "pre" else "conv1x1_bn"
    for _ in range(size):
        down = wiring.fixed(POINTWISE[order], state, width=narrow)
        branch = wiring.fixed(rise, wiring.operation(down, width=narrow))
        if order == "post":
            state = wiring.fixed("relu", state, branch)
        else:
            state = wiring.join(state, branch)
    if order == "pre":
        wiring.fixed("bn_relu", state)
    return wiring.topology()
