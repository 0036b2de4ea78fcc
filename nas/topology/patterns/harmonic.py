"""Harmonic dense wiring: shortcuts of length 2^n into the nodes that 2^n divides."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, Word, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "harmonic",
    Paper("Chao et al.", 2019, arxiv="1909.00948"),
    formula="x_l = f_l(x_(l - 2^n) for all 2^n that divide l); 2 n - popcount(n) edges",
    parameters=(
        Whole("multiplier", 100, 100, 200, "width of layer l is m^n, m in percent"),
        Word("output", "last", ("last", "odd"), "the last layer, or it and all odd ones stacked"),
    ),
)
def harmonic(size: int, *, multiplier: int, output: str) -> Topology:
    """Feed operation `l` from `l - 2^n` for every n with `2^n` dividing `l`.

    `2 size - popcount(size)` edges, where dense wiring needs `size (size + 1) / 2`. Operation `l`
    has `(multiplier / 100)^n` times the stage's width, `2^n` the largest power that divides `l`
    (published: 1.6 to 1.7). With `output=odd` a block hands on what the published ones do.
    """
    wiring = Wiring()
    for node in range(1, size + 1):
        powers = [power for power in range(node.bit_length()) if node % 2**power == 0]
        share = (round(1000 * (multiplier / 100) ** max(powers)), 1000)
        wiring.operation(*(node - 2**power for power in powers), width=share)
    handed_on = [node for node in range(1, size + 1) if node % 2 == 1 or node == size]
    if output == "odd" and len(handed_on) > 1:
        wiring.join(*handed_on, merge="stack")
    return wiring.topology("concat")
