"""Res2Net wiring: groups of channels, each group reading the one before it too."""

from nas.registry import Paper
from nas.topology.graph import Link, Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "res2net",
    Paper("Gao et al.", 2019, arxiv="1904.01169"),
    formula="y_1 = x_1; y_2 = f_2(x_2); y_i = f_i(x_i + y_(i-1)); x <- x + W [y_1; ...; y_s]",
    parameters=(Whole("scale", 4, 2, 16, "groups of channels s"),),
    exists=lambda size, scale: size % (scale - 1) == 0,
    sizes=lambda scale: f"multiples of {scale - 1} (scale - 1 operations per block)",
)
def res2net(size: int, *, scale: int) -> Topology:
    """Split the channels into groups, run all but the first, each on itself and the one before.

    A 1x1 convolution stands before the split and behind the stack of groups, a skip around all.
    The scale must divide the stage's width.
    """
    wiring, state, share = Wiring(), 0, (1, scale)
    for _ in range(size // (scale - 1)):
        entry = wiring.fixed("conv1x1", state)
        groups = [wiring.fixed("identity", (entry, Link(part=(0, scale))))]
        for group in range(1, scale):
            own = (entry, Link(part=(group, scale)))
            sources = (own,) if group == 1 else (own, groups[-1])
            groups.append(wiring.operation(*sources, width=share))
        stacked = wiring.join(*groups, merge="stack")
        state = wiring.join(state, wiring.fixed("conv1x1_bn", stacked))
    return wiring.topology()
