"""Residual attention: a trunk, times one plus a mask that a pooled branch computes."""

from nas.registry import Paper
from nas.topology.graph import Link, Topology
from nas.topology.patterns import Inner, Pattern, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "residual_attention",
    Paper("Wang et al.", 2017, arxiv="1704.06904"),
    formula="y = (1 + sigmoid(up(M(pool(x))))) * T(x)",
    parameters=(Inner("inner", "residual", "wiring of the trunk T and of the mask branch M"),),
    exists=lambda size, inner: size % 2 == 0 and inner.exists(size // 2),
    sizes=lambda inner: f"2 times the sizes of {inner.name}: {inner.sizes}",
)
def residual_attention(size: int, *, inner: Pattern) -> Topology:
    """Run half of the operations as a trunk and half, behind a pooling, as a soft mask of it.

    The mask branch ends in a 1x1 convolution; it is upsampled to the trunk and passed through a
    sigmoid by the merge.
    """
    wiring, topology = Wiring(), inner.wire(size // 2)
    pooled = wiring.fixed("max_pool2x2", 0, stride=2)
    branch = wiring.embed(topology, pooled)
    mask = wiring.fixed("plain_conv1x1", branch)
    trunk = wiring.embed(topology, 0)
    wiring.join((trunk, Link(port="main")), (mask, Link(port="mask")), merge="one_plus_mask")
    return wiring.topology(topology.merge)
