"""U-shaped wiring: an encoder and a decoder of any pattern, with laterals between equal levels."""

from nas.registry import Paper
from nas.topology.graph import Link, Topology
from nas.topology.patterns import Inner, Pattern, Whole, connection_pattern
from nas.topology.wiring import Wiring

LATERAL = Link(port="main")


def _fits(size: int, inner: Pattern, levels: int) -> bool:
    return size % (2 * levels - 1) == 0 and inner.exists(size // (2 * levels - 1))


@connection_pattern(
    "u_shaped",
    Paper("Ronneberger et al.", 2015, arxiv="1505.04597"),
    formula="d_i = F_i([e_i; up(d_(i+1))]), e_(i+1) = E_(i+1)(pool(e_i))",
    parameters=(
        Inner("inner", "chain", "wiring of every level, `nested_u` for a U inside a U"),
        Whole("levels", 3, 2, 6, "levels of resolution"),
    ),
    exists=_fits,
    sizes=lambda inner, levels: f"{2 * levels - 1} times the sizes of {inner.name}: {inner.sizes}",
)
def u_shaped(size: int, *, inner: Pattern, levels: int) -> Topology:
    """Pool between the levels of an encoder, upsample between those of a decoder, and link levels.

    Every level is an inner pattern of equal size. With `inner=nested_u` it is U^2-Net's nesting
    (Qin et al. 2020, arXiv:2005.09007). An input side must be at least `2^(levels - 1)`.
    """
    wiring = Wiring()
    topology = inner.wire(size // (2 * levels - 1))
    encoder = [wiring.block(topology, 0)]
    for _ in range(1, levels):
        pooled = wiring.fixed("max_pool2x2", encoder[-1], stride=2)
        encoder.append(wiring.block(topology, pooled))
    state = encoder.pop()
    while encoder:
        meeting = wiring.join((encoder.pop(), LATERAL), state, merge="concat")
        state = wiring.block(topology, meeting)
    return wiring.topology(topology.merge)
