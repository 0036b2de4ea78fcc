"""RDNet wiring: wide and shallow dense groups with a transition behind each."""

from nas.registry import Paper
from nas.topology.graph import Gain, Link, Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring

LAYER_SCALE = Link(gain=Gain("channel", 1e-6))


@connection_pattern(
    "rdnet",
    Paper("Kim et al.", 2024, arxiv="2403.19588"),
    formula="x_l = g_l * f_l([x_0; ...; x_(l-1)]) in groups; W [all] behind each group",
    parameters=(
        Whole("period", 3, 1, 16, "operations between transitions"),
        Whole("growth", 100, 1, 400, "channels of an operation, in percent of the stage's width"),
    ),
    exists=lambda size, period, **_: size % period == 0,
    sizes=lambda period, **_: f"multiples of {period}",
)
def rdnet(size: int, *, period: int, growth: int) -> Topology:
    """Stack densely within groups of `period` operations; a 1x1 transition ends each group.

    New features are scaled per channel by a learned factor that starts at 1e-6. The published
    operation is a 7x7 depthwise convolution, a norm and two 1x1 convolutions.
    """
    wiring, state = Wiring(), 0
    for _ in range(size // period):
        states = [state]
        for _ in range(period):
            feature = wiring.operation(*states, width=(growth, 100), merge="stack")
            states.append(wiring.fixed("identity", (feature, LAYER_SCALE)))
        state = wiring.fixed("conv1x1_bn", *states, merge="stack")
    return wiring.topology("concat")
