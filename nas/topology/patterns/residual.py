"""Residual wiring: a skip around every operation, added back by a join."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import connection_pattern


@connection_pattern("residual", Paper("He et al.", 2015, arxiv="1512.03385"))
def residual(size: int) -> Topology:
    """Alternate operation and join: `x <- x + f(x)`, `size` times.

    Operation `l` is node `2l - 1` and its join node `2l`; the chain of joins is the identity path,
    so binom(size, k) paths run through exactly k operations (Veit et al. 2016, arXiv:1605.06431).
    """
    edges = set()
    for block in range(size):
        start = 2 * block
        edges |= {(start, start + 1), (start, start + 2), (start + 1, start + 2)}
    return Topology(2 * size + 1, frozenset(edges), joins=frozenset(range(2, 2 * size + 1, 2)))
