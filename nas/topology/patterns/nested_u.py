"""Nested U (residual U-block): an encoder and decoder with laterals, and a skip around them."""

from nas.registry import Paper
from nas.topology.graph import Link, Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring

LATERAL = Link(port="main")


@connection_pattern(
    "nested_u",
    Paper("Qin et al.", 2020, arxiv="2005.09007"),
    formula="y = f(x) + U_L(f(x)), U_L of L levels; 2 L operations",
    parameters=(Whole("middle", 50, 1, 400, "width of the inner levels, in percent"),),
    exists=lambda size, **_: size >= 4 and size % 2 == 0,
    sizes="even numbers from 4 (2 L operations for L levels)",
)
def nested_u(size: int, *, middle: int) -> Topology:
    """Run an operation, then a U of L levels on its output, and add the two.

    Level 1 to L - 1 of the encoder are an operation each, with a 2x2 max pooling between them; the
    bottom is one more at the lowest resolution (published dilated); each decoder level reads the
    lateral of its encoder level and, upsampled, the level below. An input side must be at least
    `2^(L - 2)`. A U of such blocks is `u_shaped(inner=nested_u)`.
    """
    wiring, levels, share = Wiring(), size // 2, (middle, 100)
    entry = wiring.operation(0)
    encoder = [wiring.operation(entry, width=share)]
    for _ in range(2, levels):
        pooled = wiring.fixed("max_pool2x2", encoder[-1], stride=2)
        encoder.append(wiring.operation(pooled, width=share))
    state = wiring.operation(encoder[-1], width=share)
    for level in reversed(range(levels - 1)):
        width = (1, 1) if level == 0 else share
        state = wiring.operation((encoder[level], LATERAL), state, width=width)
    wiring.join(entry, state, merge="sum")
    return wiring.topology("concat")
