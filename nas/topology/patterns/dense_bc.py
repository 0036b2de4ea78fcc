"""DenseNet-BC wiring: dense blocks whose channels add up, with 1x1 bottlenecks and compression."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "dense_bc",
    Paper("Huang et al.", 2016, arxiv="1608.06993"),
    formula="x_l = f_l(W_l [x_0; ...; x_(l-1)]); the output keeps theta of all channels",
    parameters=(
        Whole("growth", 50, 1, 400, "channels of an operation, in percent of the stage's width"),
        Whole("factor", 4, 1, 16, "channels behind the 1x1, in multiples of the growth"),
        Whole("compression", 50, 1, 100, "channels the transition keeps, in percent"),
    ),
)
def dense_bc(size: int, *, growth: int, factor: int, compression: int) -> Topology:
    """Stack all earlier states before a 1x1 bottleneck and the operation; compress at the end.

    Nothing is projected back: states keep their own channels, as published. Choose pre-activated
    operations for the published order.
    """
    wiring, states = Wiring(), [0]
    for _ in range(size):
        inner = wiring.fixed(
            "bn_relu_conv1x1", *states, width=(factor * growth, 100), merge="stack"
        )
        states.append(wiring.operation(inner, width=(growth, 100)))
    kept = (compression * (100 + size * growth), 100 * 100)
    wiring.fixed("bn_relu_conv1x1", *states, width=kept, merge="stack")
    return wiring.topology("concat")
