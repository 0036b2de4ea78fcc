"""Dense-additive wiring: every operation reads the sum of all earlier states."""

from nas.registry import Paper
from nas.topology.graph import Link, Topology
from nas.topology.patterns import Word, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "dense_additive",
    Paper("Chaudhary and Bali", 2022, arxiv="2205.14879"),
    formula="x_l = f_l(x_(l-1) + sum_(k < l-1) P_kl x_k); n (n + 1) / 2 edges",
    parameters=(Word("skips", "project", ("project", "identity"), "what the skips P do"),),
)
def dense_additive(size: int, *, skips: str) -> Topology:
    """Feed each operation from the sum of its predecessor and all earlier states, projected.

    The dense residual of Easter (and of Jasper, Li et al. 2019, arXiv:1904.03288): a 1x1
    convolution with batch norm on every skip.
    """
    link = Link(transform="project") if skips == "project" else Link()
    wiring, states = Wiring(), [0]
    for _ in range(size):
        states.append(wiring.operation(*((state, link) for state in states[:-1]), states[-1]))
    return wiring.topology()
