"""Random wiring after Watts and Strogatz: a ring of neighbours, some edges rewired."""

from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.random_wiring import ORDER, RANDOM_WIRING, SEED, oriented


@connection_pattern(
    "watts_strogatz",
    RANDOM_WIRING,
    formula="a ring where each reads k neighbours; n k / 2 edges, each rewired with probability p",
    parameters=(
        Whole("neighbours", 4, 2, 64, "neighbours k on the ring; an odd number counts as one less"),
        Whole("rewire", 75, 0, 100, "probability to rewire an edge, in percent"),
        SEED,
        ORDER,
    ),
    exists=lambda size, neighbours, **_: size > neighbours,
    sizes=lambda neighbours, **_: f"{neighbours + 1} operations or more",
)
def watts_strogatz(size: int, *, neighbours: int, rewire: int, seed: int, order: str) -> Topology:
    """Rewire a ring lattice at random and orient it.

    Operations without a predecessor read the input, those that nothing reads feed the output's
    mean.
    """
    import networkx as nx

    graph = nx.watts_strogatz_graph(size, neighbours, rewire / 100, seed=seed)
    return oriented(graph, order, seed)
