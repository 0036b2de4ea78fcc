"""Residual in residual: a long skip around groups, each with a skip of its own."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Inner, Pattern, Whole, connection_pattern
from nas.topology.wiring import Wiring

CLOSING = "plain_conv3x3"


@connection_pattern(
    "residual_in_residual",
    Paper("Zhang et al.", 2018, arxiv="1807.02758"),
    formula="y = x + W G_g(... G_1(x)), G_i(x) = x + W_i inner(x)",
    parameters=(
        Inner("inner", "residual(gate=se)", "wiring of a group"),
        Whole("groups", 2, 1, 16, "groups g under the long skip"),
    ),
    exists=lambda size, inner, groups: size % groups == 0 and inner.exists(size // groups),
    sizes=lambda inner, groups: f"{groups} times the sizes of {inner.name}: {inner.sizes}",
)
def residual_in_residual(size: int, *, inner: Pattern, groups: int) -> Topology:
    """Wrap equal groups of an inner pattern in short skips, and all of them in a long one.

    A fixed 3x3 convolution closes each group and the whole. The inner blocks are published with
    squeeze-excitation gates.
    """
    wiring, state = Wiring(), 0
    topology = inner.wire(size // groups)
    for _ in range(groups):
        closed = wiring.fixed(CLOSING, wiring.embed(topology, state))
        state = wiring.join(state, closed, merge="sum")
    wiring.join(0, wiring.fixed(CLOSING, state), merge="sum")
    return wiring.topology(topology.merge)
