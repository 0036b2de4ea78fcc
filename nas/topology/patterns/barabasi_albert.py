"""Random wiring after Barabási and Albert: new operations attach to well-connected ones."""

from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.random_wiring import ORDER, RANDOM_WIRING, SEED, oriented


@connection_pattern(
    "barabasi_albert",
    RANDOM_WIRING,
    formula="m (n - m) edges, an end drawn in proportion to its degree",
    parameters=(Whole("attach", 5, 1, 64, "edges m of every new operation"), SEED, ORDER),
    exists=lambda size, attach, **_: size > attach,
    sizes=lambda attach, **_: f"{attach + 1} operations or more",
)
def barabasi_albert(size: int, *, attach: int, seed: int, order: str) -> Topology:
    """Grow a graph by preferential attachment and orient it.

    Operations without a predecessor read the input, those that nothing reads feed the output's
    mean.
    """
    import networkx as nx

    return oriented(nx.barabasi_albert_graph(size, attach, seed=seed), order, seed)
