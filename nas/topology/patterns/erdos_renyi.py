"""Random wiring after Erdős and Rényi: every edge is there with one probability."""

from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.random_wiring import ORDER, RANDOM_WIRING, SEED, oriented


@connection_pattern(
    "erdos_renyi",
    RANDOM_WIRING,
    formula="each of n (n - 1) / 2 edges with probability p",
    parameters=(
        Whole("probability", 20, 0, 100, "of an edge, in percent"),
        SEED,
        ORDER,
    ),
)
def erdos_renyi(size: int, *, probability: int, seed: int, order: str) -> Topology:
    """Draw each edge between two operations independently and orient the graph.

    Operations without a predecessor read the input, those that nothing reads feed the output's
    mean. A draw that falls into pieces is repeated a few times, as published; then its pieces
    stand side by side.
    """
    import networkx as nx

    graph = nx.gnp_random_graph(size, probability / 100, seed=seed)
    for attempt in range(1, 10):
        if size < 2 or nx.is_connected(graph):
            break
        graph = nx.gnp_random_graph(size, probability / 100, seed=seed + 1_000_000 * attempt)
    return oriented(graph, order, seed)
