"""Harmonic dense wiring: shortcuts of length 2^n into the nodes that 2^n divides."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import connection_pattern


@connection_pattern("harmonic", Paper("Chao et al.", 2019, arxiv="1909.00948"))
def harmonic(size: int) -> Topology:
    """Feed operation `l` from `l - 2^n` for every n with `2^n` dividing `l`.

    `2 size - popcount(size)` edges, where dense wiring needs `size (size + 1) / 2`; the last
    operation is the output node.
    """
    edges = {
        (node - 2**power, node)
        for node in range(1, size + 1)
        for power in range(node.bit_length())
        if node % 2**power == 0
    }
    return Topology(size + 1, frozenset(edges), merge="concat")
